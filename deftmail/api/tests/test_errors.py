"""Whatever goes wrong is an RFC 9457 problem, with a page that explains it, and never tells of our insides."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deftmail.api import domains
from deftmail.api.glossary import entries
from deftmail.api.tests.conftest import Caller, key_of
from deftmail.api.tests.test_keys import IDS, OPERATIONS
from deftmail.domains.testing import make_domain
from deftmail.kit.bodylimit import BodyLimit
from deftmail.kit.conf import conf
from deftmail.kit.testing import GOOD_PASSWORD
from deftmail.mailboxes.testing import make_mailbox
from deftmail.sending import facts

pytestmark = pytest.mark.django_db(databases=["default", "system"])
WRITES = [operation for operation in OPERATIONS if "requestBody" in operation[2]]


def is_problem(answer, status, code):
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body["type"] == f"{conf.base_url}/docs/problems/{code}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert code in entries(), "the type leads to a page"
    return body


@pytest.mark.parametrize(
    "path", ["/api/", "/api/v1/nothing", "/api/v2/domains", "/api/v1/domains/not-an-id", "/api/v1/"]
)
def test_an_unknown_address_is_a_problem_too(call, path):
    is_problem(call.client.get(path), 404, "not-found")


def test_another_method_is_told_which_there_are(call):
    answer = call("PUT", "/domains", {})
    is_problem(answer, 405, "method-not-allowed")
    assert set(answer["Allow"].split(", ")) == {"GET", "POST"}


@pytest.mark.parametrize(
    "body", [b"{", b"[", b"\xff\xfe", b'{"domain": }', b"domain=acme.example", b"[" * 5000, b"9" * 5000]
)
def test_a_body_that_is_no_json_is_a_bad_request(call, body):
    is_problem(call("POST", "/domains", body), 400, "bad-request")


def test_the_place_of_the_mistake_is_told(call):
    assert "line 2, column 3" in call("POST", "/domains", b'{"domain": 1,\n  }').json()["detail"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml"]
)
def test_another_media_type_is_refused(call, kind):
    answer = call("POST", "/domains", b'{"domain": "acme.example"}', Content_Type=kind)
    is_problem(answer, 415, "unsupported-media-type")


def test_json_with_a_charset_is_json(call, dns):
    answer = call("POST", "/domains", {"domain": "acme.example.com"}, Content_Type="application/json; charset=utf-8")
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["domain"]),
        ({"domain": 7}, ["domain"]),
        ({"domain": None}, ["domain"]),
        ({"domain": "acme.example", "nonsense": True}, ["nonsense"]),
        ([], ["body"]),
        ("acme.example", ["body"]),
    ],
)
def test_every_wrong_member_is_named(call, body, fields):
    problem = is_problem(call("POST", "/domains", body), 422, "invalid")
    assert [error["field"] for error in problem["errors"]] == fields


def test_several_wrong_members_are_all_named(call):
    problem = is_problem(call("POST", "/mailboxes", {"email": 1, "quota_mb": -1, "x": 0}), 422, "invalid")
    assert {error["field"] for error in problem["errors"]} == {"email", "password", "quota_mb", "x"}


def test_the_database_away_is_unavailable_and_says_when_to_come_again(call, monkeypatch):
    def away(*_args, **_kwargs):
        raise OperationalError("connection to server at 10.1.2.3 failed: secret details")

    monkeypatch.setattr(domains, "domain_for", away)
    answer = call("GET", f"/domains/{uuid4()}")
    is_problem(answer, 503, "unavailable")
    assert "10.1.2.3" not in answer.content.decode()
    assert int(answer["Retry-After"]) > 0


def test_a_bug_of_ours_is_an_internal_error_that_leaks_nothing(call, monkeypatch):
    def broken(*_args, **_kwargs):
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr(domains, "domain_for", broken)
    call.client.raise_request_exception = False
    answer = call("GET", f"/domains/{uuid4()}")
    is_problem(answer, 500, "internal-error")
    assert "secret" not in answer.content.decode()


async def _too_large(chunks, length):
    sent = []
    messages = iter([{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks])

    async def receive():
        return next(messages)

    async def send(message):
        sent.append(message)

    async def app(scope, receive, send):
        while (await receive())["type"] == "http.request":
            pass

    headers = [(b"content-length", str(length).encode())] if length else []
    scope = {"type": "http", "path": "/api/v1/domains", "headers": headers}
    await BodyLimit(app)(scope, receive, send)
    return sent


@pytest.mark.parametrize(("chunks", "length"), [([], 64 * 1024 + 1), ([b"x" * 40_000] * 3, None)])
async def test_a_body_over_the_limit_is_refused_whether_it_names_its_length_or_not(chunks, length):
    start, body = await _too_large(chunks, length)
    assert start["status"] == 413
    assert (b"content-type", b"application/problem+json") in start["headers"]
    assert json.loads(body["body"])["type"].endswith("/docs/problems/too-large")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
MEMBERS = st.sampled_from(["domain", "email", "password", "display_name", "quota_mb", "status", "x"])
NASTY: st.SearchStrategy[Any] = st.sampled_from(
    ["", "\x00", "a\x00b", "\ud800", "\u202e", "x" * 400, "é" * 80, "a@b@c", "@", "a@" + "b" * 300, "xn--a.example",
     "1" * 400, "a\r\nBcc: b@c.example", "'; drop table", "%s", "{}", -1, 0, 2**31, 2**63, 1e400, [], {}, None, True]
)  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "operation"), WRITES, ids=[operation[2]["operationId"] for operation in WRITES]
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_body_is_answered_with_a_fault_of_ours(cast, call, dns, method, path, operation, data):
    domain = make_domain(cast.acme, active=True)
    mailbox = make_mailbox(domain)
    example = operation["requestBody"]["content"]["application/json"]["example"]
    good = example | ({"email": f"new@{domain.domain}", "password": GOOD_PASSWORD} if "email" in example else {})
    bad = data.draw(st.dictionaries(MEMBERS, NASTY | JSON, min_size=1, max_size=3))
    body = data.draw(st.sampled_from([good | bad, bad, good | {next(iter(good)): next(iter(bad.values()))}]) | JSON)
    raw = json.dumps(body).encode() if not data.draw(st.booleans()) else data.draw(st.binary(max_size=60))
    answer = call(method, path.format(domain_id=domain.pk, mailbox_id=mailbox.pk), raw)
    assert answer.status_code < 500, (raw, answer.content)
    if answer.status_code >= 400:
        assert answer["Content-Type"] == "application/problem+json"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(["/domains", "/mailboxes"]),
    query=st.dictionaries(st.sampled_from(["cursor", "limit", "q", "domain_id"]), st.text(max_size=40), max_size=4),
)
def test_no_query_is_answered_with_a_fault_of_ours(call, path, query):
    answer = call.client.get("/api/v1" + path, query, headers={"Authorization": f"Bearer {call.key}"})
    assert answer.status_code in (200, 422), answer.content


def test_every_code_has_its_page_and_the_list_leads_to_each(client: Client):
    listed = client.get(reverse("problem_list"))
    assert listed.status_code == 200
    assert {"domain-taken", "missing-scope", "idempotency-key-reused", "no-api-access", "too-large"} <= set(entries())
    for code, entry in entries().items():
        url = reverse("problem_page", args=[code])
        assert f'href="{url}"' in listed.content.decode()
        page = client.get(url)
        assert page.status_code == 200
        assert str(entry.status) in page.content.decode()
        assert entry.meaning, f"{code}: its refusal has no docstring, so its page says nothing"
    assert client.get("/docs/problems/nonsense").status_code == 404


# What a success costs at most, in statements (savepoints of the test among them). One that grows with the number of
# rows, or quietly doubles, is seen here before a customer feels it.
QUERIES = {
    "list_domains": 11,
    "get_domain": 11,
    "create_domain": 25,
    "verify_domain": 18,
    "delete_domain": 27,
    "list_mailboxes": 11,
    "get_mailbox": 11,
    "may_send": 11,
    "create_mailbox": 38,
    "change_mailbox": 25,
    "set_mailbox_password": 25,
    "delete_mailbox": 25,  # one look each for counters, blocks and review cases that go with it
}


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=IDS)
def test_an_operation_costs_the_same_however_many_rows_there_are(
    cast, call, dns, django_assert_max_num_queries, monkeypatch, method, path, operation
):
    monkeypatch.setattr(facts, "_dkim_live", lambda _account: True)
    made = [make_domain(cast.acme, f"rows{number}.example", active=True) for number in range(3)]
    if operation["operationId"] == "create_mailbox":
        make_domain(cast.acme, "acme.example", active=True)
    boxes = [make_mailbox(domain) for domain in made[1:] for _ in range(3)]
    path = path.format(domain_id=made[0].pk, mailbox_id=boxes[0].pk)
    body = operation["requestBody"]["content"]["application/json"]["example"] if "requestBody" in operation else None
    call("GET", "/domains")  # notes the use of the key, once a minute
    with django_assert_max_num_queries(QUERIES[operation["operationId"]]):
        answer = call(method, path, body)
    assert answer.status_code < 300, answer.content


def test_a_stranger_finds_neither_domain_nor_mailbox(cast):
    domain = make_domain(cast.acme, active=True)
    mailbox = make_mailbox(domain)
    stranger = Caller(key_of(cast.stranger))
    for method, path, _operation in OPERATIONS:
        if "{" in path:
            body = {"password": GOOD_PASSWORD} if path.endswith("/password") else {}
            answer = stranger(method, path.format(domain_id=domain.pk, mailbox_id=mailbox.pk), body)
            is_problem(answer, 404, "not-found")
