"""Requests nobody's client makes by accident: each gets a problem, none a 500, and nothing is half-done."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deftmail.api.tests.conftest import Caller, key_of
from deftmail.domains.testing import make_domain
from deftmail.mailboxes.testing import make_mailbox, reload
from deftmail.tenants.testing import Cast

pytestmark = pytest.mark.django_db(databases=["default", "system"])
ODD_TEXT = (
    "\0",
    "a\0b",
    "\ud800",
    "plum orbit \udfff quay",
    "plum orbit \0 quay",
    "\u202e",
    "\r\nBcc: x@y.example",
    "x" * 5000,
    "",
    " ",
    "💥" * 300,
    "%s",
    "'\"<",
)
ODD_VALUES: tuple[Any, ...] = (*ODD_TEXT, None, 0, -1, 2**31, 2**63, 1e308, float("nan"), True, [], {}, ["a"], {"a": 1})


@pytest.mark.parametrize("member", ["email", "password", "display_name", "quota_mb", "status", "tenant_id", "id"])
def test_no_value_of_a_mailbox_breaks(cast: Cast, call: Caller, member: str) -> None:
    domain = make_domain(cast.acme, "acme.test", active=True)
    box = make_mailbox(domain, "alice")
    for value in ODD_VALUES:
        body = {"email": "new@acme.test", "password": "plum orbit ledger quay", member: value}
        for method, path, sent in (
            ("POST", "/mailboxes", body),
            ("PATCH", f"/mailboxes/{box.pk}", {member: value}),
            ("POST", f"/mailboxes/{box.pk}/password", {"password": value}),
        ):
            answer = call(method, path, json.dumps(sent).encode())
            assert answer.status_code < 500, (method, path, member, value)
            if answer.status_code == 201:
                call("DELETE", f"/mailboxes/{answer.json()['id']}")
    assert reload(box).tenant_id == cast.acme.pk
    assert reload(box).email == "alice@acme.test"


@pytest.mark.parametrize("value", ODD_VALUES)
def test_no_name_of_a_domain_breaks(call: Caller, dns: Any, value: Any) -> None:
    assert call("POST", "/domains", json.dumps({"domain": value}).encode()).status_code in (409, 422)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"0",
        b'"x"',
        b"[" * 60_000,
        b'{"a":' * 9_000,
        b"1" * 60_000,
        b'{"domain": "a.example", "domain": "b.example"}',
        b'{"domain": NaN}',
        b'{"domain": "\\ud800"}',
        b'{"domain": "\\u0000"}',
    ],
)
def test_no_body_breaks(call: Caller, dns: Any, body: bytes) -> None:
    answer = call("POST", "/domains", body)
    assert answer.status_code < 500
    assert answer.headers["Content-Type"].startswith("application/")


@pytest.mark.parametrize("asked", ["q=%00", "q=%ed%a0%80", "limit=99999999999999999999", "cursor=%00", "domain_id=%00"])
def test_no_query_breaks_a_list(call: Caller, asked: str) -> None:
    assert call("GET", f"/mailboxes?{asked}").status_code in (200, 422)
    assert call("GET", f"/domains?{asked}").status_code in (200, 422)


@pytest.mark.parametrize(
    "sent",
    ["", "Bearer", "Bearer ", "Basic eDp5", "Bearer \xff", "bearer a b", "Bearer " + "x" * 7000, "Bearer dm_live_"],
)
def test_no_authorization_breaks(cast: Cast, sent: str) -> None:
    assert Caller("")("GET", "/domains", Authorization=sent).status_code == 401


def test_an_idempotency_key_of_one_company_means_nothing_to_another(cast: Cast, call: Caller, dns: Any) -> None:
    strangers = Caller(key_of(cast.stranger))
    mine = call("POST", "/domains", {"domain": "acme.test"}, Idempotency_Key="1")
    theirs = strangers("POST", "/domains", {"domain": "acme.test"}, Idempotency_Key="1")
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["id"] != theirs.json()["id"]
    assert mine.json()["dns_records"] != theirs.json()["dns_records"]


def test_a_private_key_or_a_password_hash_is_in_no_answer(cast: Cast, call: Caller, dns: Any) -> None:
    made = call("POST", "/domains", {"domain": "acme.test"}).content.decode()
    listed = call("GET", "/domains").content.decode()
    make_mailbox(make_domain(cast.acme, "other.test", active=True), "alice")
    boxes = call("GET", "/mailboxes").content.decode()
    for text in (made, listed, boxes):
        assert "PRIVATE" not in text
        assert "v1|" not in text
        assert "$2b$" not in text
