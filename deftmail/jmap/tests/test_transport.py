"""What becomes of every way a request can go wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
import structlog

from deftmail.jmap import (
    Access,
    AnswerTooLarge,
    AuthFailed,
    EngineUnavailable,
    InvalidId,
    JmapClient,
    JmapError,
    MailAccount,
    MethodFailed,
    NotFound,
    RequestRefused,
    TooLarge,
)
from deftmail.jmap import transport as transport_module
from deftmail.jmap.batch import Batch
from deftmail.jmap.testing import FakeJmap
from deftmail.jmap.tests.sockets import Engine
from deftmail.jmap.tests.support import account_on, answering, session_object

PROBLEM = "urn:ietf:params:jmap:error:"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "RETRY_PAUSE", 0)


def _status(status: int, text: str = "", **headers: str) -> Callable[[httpx2.Request], httpx2.Response]:
    return lambda request: httpx2.Response(
        status, text=text, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def _raise(error: type[httpx2.TransportError]) -> Callable[[httpx2.Request], httpx2.Response]:
    def handle(request: httpx2.Request) -> httpx2.Response:
        raise error("x")

    return handle


HTML = "<!DOCTYPE html><html>502 Bad Gateway</html>"
TABLE: list[tuple[str, Callable[[httpx2.Request], httpx2.Response], type[JmapError], str, bool]] = [
    ("refused", _raise(httpx2.ConnectError), EngineUnavailable, "connect", True),
    ("connect timeout", _raise(httpx2.ConnectTimeout), EngineUnavailable, "connect", True),
    ("pool full", _raise(httpx2.PoolTimeout), EngineUnavailable, "connect", True),
    ("read timeout", _raise(httpx2.ReadTimeout), EngineUnavailable, "timeout", True),
    ("broken", _raise(httpx2.ReadError), EngineUnavailable, "broken", True),
    ("gone", _raise(httpx2.RemoteProtocolError), EngineUnavailable, "broken", True),
    ("401", _status(401), AuthFailed, "auth", False),
    ("403", _status(403), AuthFailed, "auth", False),
    ("404", _status(404, HTML), NotFound, "notFound", False),
    ("413", _status(413), TooLarge, "tooLarge", False),
    ("429", _status(429, retry_after="7"), EngineUnavailable, "busy", True),
    ("500", _status(500, HTML), EngineUnavailable, "badAnswer", True),
    ("502", _status(502, HTML), EngineUnavailable, "badAnswer", True),
    ("503", _status(503, HTML), EngineUnavailable, "unavailable", True),
    ("redirect", _status(302, location="http://evil/"), EngineUnavailable, "badAnswer", True),
    ("html", _status(200, HTML), EngineUnavailable, "badAnswer", True),
    ("empty", _status(200, ""), EngineUnavailable, "badAnswer", True),
    ("half json", _status(200, '{"methodResponses": ['), EngineUnavailable, "badAnswer", True),
    ("json list", _status(200, "[]"), EngineUnavailable, "badAnswer", True),
    ("wrong shape", _status(200, '{"methodResponses": [["a"]]}'), EngineUnavailable, "badAnswer", True),
    ("no answers", _status(200, '{"methodResponses": []}'), EngineUnavailable, "badAnswer", True),
    ("deep", _status(200, "[" * 200_000), EngineUnavailable, "badAnswer", True),
    ("too large", _status(200, " " * (2**20 + 1)), AnswerTooLarge, "answerTooLarge", False),
    ("limit", _status(400, json.dumps({"type": PROBLEM + "limit"})), RequestRefused, "limit", False),
    (
        "capability",
        _status(400, json.dumps({"type": PROBLEM + "unknownCapability"})),
        RequestRefused,
        "unknownCapability",
        False,
    ),
    ("400 html", _status(400, HTML), RequestRefused, "request", False),
    ("400 list", _status(400, "[1]"), RequestRefused, "request", False),
    ("400 huge", _status(400, "x" * 100_000), RequestRefused, "request", False),
]


@pytest.mark.parametrize(
    ("handler", "kind", "code", "temporary"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_error_table(handler: Any, kind: type[JmapError], code: str, temporary: bool) -> None:
    with pytest.raises(JmapError) as caught:
        account_on(handler).folders()
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.temporary) == (code, temporary)


METHOD_ERRORS = [
    ("serverUnavailable", True),
    ("serverFail", True),
    ("rateLimit", True),
    ("stateMismatch", True),
    ("accountNotFound", False),
    ("cannotCalculateChanges", False),
    ("invalidArguments", False),
    ("unknownMethod", False),
    ("requestTooLarge", False),
    ("overQuota", False),
]


@pytest.mark.parametrize(("type_", "temporary"), METHOD_ERRORS)
def test_method_errors(type_: str, temporary: bool) -> None:
    account = account_on(answering(("error", {"type": type_, "description": "why"})))
    with pytest.raises(MethodFailed) as caught:
        account.folders()
    assert (caught.value.type, caught.value.code, caught.value.temporary) == (type_, type_, temporary)


def test_an_error_without_a_type_is_a_server_failure() -> None:
    with pytest.raises(MethodFailed) as caught:
        account_on(answering(("error", {}))).folders()
    assert caught.value.type == "serverFail"


def test_one_failed_call_leaves_the_others_standing() -> None:
    fake = FakeJmap()
    fake.add_email(subject="hello")
    fake.limits["maxObjectsInGet"] = 0  # members of conversations are refused, and so is the rest of Email/get
    account = account_on(
        answering(
            ("Mailbox/get", {"list": [{"id": "m1", "role": "inbox", "name": "Inbox"}]}),
            ("Email/query", {"ids": ["M1"], "total": 1}),
            ("Email/get", {"list": [{"id": "M1", "threadId": "T1", "subject": "hello", "mailboxIds": {"m1": True}}]}),
            ("Thread/get", {"list": [{"id": "T1", "emailIds": ["M0", "M1"]}]}),
            ("error", {"type": "requestTooLarge"}),
            ("error", {"type": "unknownMethod"}),
        )
    )
    page = account.conversations("m1", quota=True)
    assert page.quota is None
    assert [(row.subject, row.count, row.email_ids, row.ids_here) for row in page.rows] == [
        ("hello", 2, ("M0", "M1"), ("M1",))
    ]


def _counting(
    answers: list[httpx2.Response | Exception],
) -> tuple[list[httpx2.Request], Callable[[httpx2.Request], httpx2.Response]]:
    seen: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        answer = answers[min(len(seen), len(answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return seen, handle


def _folders() -> httpx2.Response:
    return httpx2.Response(200, json={"methodResponses": [["Mailbox/get", {"list": []}, "0"]], "sessionState": "0"})


@pytest.mark.parametrize("first", [httpx2.ReadError("x"), httpx2.ConnectError("x"), httpx2.Response(503)])
def test_a_read_is_repeated_once(first: Any) -> None:
    seen, handle = _counting([first, _folders()])
    account_on(handle).folders()
    assert len(seen) == 2


@pytest.mark.parametrize(
    "first", [httpx2.ReadTimeout("x"), httpx2.Response(429), httpx2.Response(503, headers={"Retry-After": "9"})]
)
def test_a_timeout_or_a_busy_engine_is_not_pressed(first: Any) -> None:
    seen, handle = _counting([first, _folders()])
    with pytest.raises(EngineUnavailable) as caught:
        account_on(handle).folders()
    assert len(seen) == 1
    assert caught.value.retry_after in {None, 9.0}


def test_a_change_is_never_repeated_once_it_may_have_arrived() -> None:
    seen, handle = _counting([httpx2.ReadError("x")])
    with pytest.raises(EngineUnavailable) as caught:
        account_on(handle).mark_read(["M1"])
    assert (len(seen), caught.value.sent) == (1, True)


def test_a_change_is_repeated_when_nothing_was_sent() -> None:
    seen, handle = _counting([httpx2.ConnectError("x")])
    with pytest.raises(EngineUnavailable) as caught:
        account_on(handle).mark_read(["M1"])
    assert (len(seen), caught.value.sent) == (2, False)


def test_a_401_gets_fresh_headers_and_one_more_try() -> None:
    tokens = iter(["old", "new"])
    state = {"token": "start"}

    def refresh() -> None:
        state["token"] = next(tokens)

    seen, handle = _counting([httpx2.Response(401), _folders()])
    account_on(handle, headers=lambda: {"Authorization": state["token"]}, refresh=refresh).folders()
    assert [request.headers["authorization"] for request in seen] == ["start", "old"]
    seen, handle = _counting([httpx2.Response(401)])
    with pytest.raises(AuthFailed):
        account_on(handle).folders()
    assert len(seen) == 2


def test_redirects_are_not_followed_with_our_token() -> None:
    seen, handle = _counting([httpx2.Response(307, headers={"Location": "http://evil/"})])
    with pytest.raises(EngineUnavailable):
        account_on(handle).folders()
    assert [request.url.host for request in seen] == ["engine"]


def test_a_changed_session_state_makes_the_session_be_read_again() -> None:
    sessions = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            sessions.append(1)
            return httpx2.Response(200, json=session_object("cyrus"))
        state = "1" if len(sessions) == 1 else "0"
        return httpx2.Response(
            200, json={"methodResponses": [["Mailbox/get", {"list": []}, "0"]], "sessionState": state}
        )

    client = JmapClient(httpx2.MockTransport(handle))
    for _ in range(3):
        MailAccount(Access("http://engine/jmap/", {}, "alice@rec.test"), client).folders()
    assert len(sessions) == 2


def test_sessions_of_two_accounts_are_kept_apart() -> None:
    fakes = {name: FakeJmap(username=f"{name}@acme.test") for name in ("alice", "bob")}

    def handle(request: httpx2.Request) -> httpx2.Response:
        return fakes[request.headers["authorization"]].handle(request)

    client = JmapClient(httpx2.MockTransport(handle))
    for name in ("alice", "bob", "alice"):
        access = Access("http://engine/jmap/", {"Authorization": name}, f"{name}@acme.test")
        assert MailAccount(access, client).session.account_id == f"{name}@acme.test"
    assert [fake.session_requests for fake in fakes.values()] == [1, 1]


@pytest.mark.parametrize("session", [{}, [], {"primaryAccounts": None}, {"apiUrl": 1}])
def test_a_useless_session_object(session: Any) -> None:
    client = JmapClient(httpx2.MockTransport(lambda request: httpx2.Response(200, json=session)))
    with pytest.raises(EngineUnavailable) as caught:
        MailAccount(Access("http://engine/jmap/", {}, "a@b.c"), client).folders()
    assert caught.value.code == "badSession"


def test_using_names_what_is_used_and_no_more() -> None:
    fake = FakeJmap("stalwart")
    fake.account().folders(quota=True)
    core, mail, quota = "urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:quota"
    assert fake.requests[0]["using"] == [core, mail, quota]


def test_a_batch_refuses_what_the_engine_would() -> None:
    fake = FakeJmap(limits={"maxCallsInRequest": 1})
    batch = Batch(fake.account().session)
    batch.call("Mailbox/get", {}, dict)
    with pytest.raises(RequestRefused):
        batch.call("Mailbox/get", {}, dict)
    with pytest.raises(MethodFailed):
        batch.call("Calendar/get", {}, dict)


def test_a_vacation_response_is_never_asked_for() -> None:
    """It kills a process of Cyrus 3.6."""
    batch = Batch(FakeJmap().account().session)
    with pytest.raises(MethodFailed):
        batch.call("VacationResponse/get", {"ids": None}, dict)


def test_lone_surrogates_and_nul_become_storable() -> None:
    text = (
        '{"methodResponses": [["Mailbox/get", {"list": [{"id": "m1", "name": "a\\ud800\\u0000\\ud83d\\ude00"}]}, "0"]]}'
    )
    name = account_on(_status(200, text)).folders().all[0].name
    assert name == "a\ufffd\ufffd\U0001f600"
    assert name.encode()


def test_every_request_is_one_log_line_without_secrets() -> None:
    with structlog.testing.capture_logs() as lines:
        FakeJmap().account().folders()
        with pytest.raises(AuthFailed):
            account_on(_status(401), headers={"Authorization": "Bearer geheim"}).folders()
    found = [(line["operation"], line["object"], line["outcome"], line["log_level"]) for line in lines]
    assert found == [
        ("jmap session", "alice@acme.test", "ok", "info"),
        ("jmap Mailbox/get", "alice@acme.test", "ok", "info"),
        ("jmap session", "alice@rec.test", "ok", "info"),
        ("jmap Mailbox/get", "alice@rec.test", "auth", "warning"),
    ]
    assert "geheim" not in repr(lines)


def test_an_access_does_not_show_its_token() -> None:
    assert "geheim" not in repr(Access("http://engine/jmap/", {"Authorization": "Bearer geheim"}, "a@b.c"))


def test_over_a_unix_socket_connections_are_kept(engine: Engine) -> None:
    client = JmapClient()
    try:
        access = Access("http://localhost/jmap/", {"Authorization": "x"}, "alice@acme.test", uds=engine.path)
        account = MailAccount(access, client)
        for _ in range(3):
            account.folders()
        blob = account.upload(io.BytesIO(b"x" * 200_000), "text/plain", 200_000)
        assert account.download(blob.id).read(300_000) == b"x" * 200_000
    finally:
        client.close()
    assert engine.connections == 1
    assert len(engine.fake.requests) == 3


def test_one_client_per_process(monkeypatch: pytest.MonkeyPatch) -> None:
    first = transport_module.default_client()
    assert transport_module.default_client() is first
    monkeypatch.setattr("os.getpid", lambda: -1)
    second = transport_module.default_client()
    assert second is not first
    second.close()


def test_a_broken_id_never_reaches_the_engine() -> None:
    fake = FakeJmap()
    account = fake.account()
    for act in (account.email, account.conversation, account.conversations, account.download, account.empty_folder):
        with pytest.raises(InvalidId):
            act("../x")
    with pytest.raises(InvalidId):
        account.move(["M1", "M 2"], "m1")
    assert fake.requests == []
