"""Stalwart's hook and webhook as bytes: what it writes, what we answer, and what is not from it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from deftmail.gate.stalwart import Malformed, answer, is_signed, read_events, read_question
from deftmail.sending.decisions import OK, Code, Door, Verdict

BY_JMAP: dict[str, Any] = {
    "context": {
        "stage": "data",
        "client": {"ip": "127.0.0.1", "port": 0, "ptr": None, "helo": "localhost", "activeConnections": 1},
        "sasl": {"login": "a2@acme.test"},
        "server": {"name": "Stalwart v0.16.19", "port": 0, "ip": "127.0.0.1"},
        "protocol": {"version": 1},
    },
    "envelope": {
        "from": {"address": "a2@acme.test"},
        "to": [{"address": "bc@acme.test"}, {"address": "o@remote.test"}],
    },
    "queue": {"id": "4bf70aef5600400"},
    "message": {"headers": [["Subject", " via jmap\r\n"]], "contents": "body text", "size": 290},
}


def test_a_submission_by_jmap_names_the_mailbox_and_the_message():
    question = read_question(json.dumps(BY_JMAP).encode())
    assert (question.stage, question.account, question.door) == ("data", "a2@acme.test", Door.JMAP)
    assert question.recipients == ("bc@acme.test", "o@remote.test")
    assert question.envelope_from == "a2@acme.test"
    assert question.queue_id == "342115993446777856"  # the same number as in the reports, there in decimal


def test_the_message_is_named_in_the_context_or_beside_it():
    outside = {name: value for name, value in BY_JMAP.items() if name != "queue"}
    inside = {**outside, "context": {**BY_JMAP["context"], "queue": BY_JMAP["queue"]}}
    assert read_question(json.dumps(inside).encode()).queue_id == "342115993446777856"
    assert read_question(json.dumps(outside).encode()).queue_id == ""


def test_a_connection_with_a_port_is_submission_and_one_without_a_login_comes_from_outside():
    context = {**BY_JMAP["context"], "client": {"ip": "192.0.2.7", "port": 40000}}
    assert read_question(json.dumps({**BY_JMAP, "context": context}).encode()).door is Door.SUBMISSION
    outside = {name: value for name, value in context.items() if name != "sasl"} | {"stage": "rcpt"}
    question = read_question(json.dumps({"context": outside, "envelope": {"from": {"address": ""}, "to": []}}).encode())
    assert (question.door, question.account, question.envelope_from, question.queue_id) == (Door.MX, "", "", "")


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"{", b"\xff", b'{"context":[]}', b'{"context":{"stage":1}}', b"[" * 100_000,
     b'{"context":{"stage":"data","sasl":{"login":["x"]}}}', b'{"context":{"stage":"data"},"envelope":{"to":["x"]}}'],
)  # fmt: skip
def test_what_stalwart_does_not_write_is_malformed(body):
    with pytest.raises(Malformed):
        read_question(body)


def test_answers_carry_status_enhanced_code_and_sentence():
    assert answer(OK) == {"action": "accept"}
    assert answer(Verdict(Code.LATER, "x", "Try: again. Later")) == {
        "action": "reject",
        "response": {
            "status": 450, "enhanced_status": "4.7.1", "message": "Try: again. Later", "disconnect": False,
        },
    }  # fmt: skip
    assert answer(Verdict(Code.REFUSE, "x", "No"))["response"]["status"] == 550


def test_a_signature_is_over_exactly_these_bytes_with_our_secret():
    body = b'{"events":[]}'
    good = base64.b64encode(hmac.digest(b"whsecret", body, hashlib.sha256)).decode()
    assert is_signed(body, good, "whsecret")
    assert not is_signed(body + b" ", good, "whsecret")
    assert not is_signed(body, good, "other")
    for bad in ("", "x", good[:-4], good + "!", "é" * 44, good.encode().hex()):
        assert not is_signed(body, bad, "whsecret")


def event(**values):
    return {
        "id": "7", "createdAt": "2026-11-23T06:00:18Z", "type": "delivery.dsn-success",
        "data": {"queueId": 342115993446777856, "from": "a2@acme.test", "to": "o@remote.test", "code": 250},
    } | values  # fmt: skip


def report(*events):
    return json.dumps({"events": list(events)}).encode()


def test_reports_keep_their_order_and_a_queue_id_beyond_53_bits():
    first, second = read_events(report(event(), event(id="8", type="auth.failed", data={"accountName": "x@y.test"})))
    assert (first.id, first.kind, first.queue_id) == ("7", "delivery.dsn-success", "342115993446777856")
    assert first.happened_at == datetime(2026, 11, 23, 6, 0, 18, tzinfo=UTC)
    assert (second.id, second.queue_id) == ("8", "")


@pytest.mark.parametrize("queue_id", [None, True, [1], "½", "1" * 21, -1, 1.5])
def test_a_queue_id_that_is_none_is_left_out(queue_id):
    assert read_events(report(event(data={"queueId": queue_id})))[0].queue_id == ""


def test_text_that_no_database_keeps_is_made_keepable():
    (found,) = read_events(report(event(id="a\0b", data={"details": "x\0y\ud800", "to": ["\0"], "n\0": 1})))
    assert found.id == "ab"
    assert found.data == {"details": "xy?", "to": [""], "n": 1}


@pytest.mark.parametrize(
    "bad",
    [{"id": ""}, {"id": None}, {"id": "x" * 101}, {"id": True}, {"type": 3}, {"type": ""}, {"createdAt": "yesterday"},
     {"createdAt": "2026-13-45T00:00:00Z"}, {"createdAt": "2026-11-23T06:00:18"}, {"createdAt": 5}, {"data": []}],
)  # fmt: skip
def test_a_broken_report_is_malformed(bad):
    with pytest.raises(Malformed):
        read_events(report(event(), event(**bad)))


@pytest.mark.parametrize("body", [b'{"events":{}}', b'{"events":[1]}', b"{}", b'{"events":[{"data":{"x":NaN}}]}'])
def test_what_is_no_report_is_malformed(body):
    with pytest.raises(Malformed):
        read_events(body)
