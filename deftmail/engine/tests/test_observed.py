"""Every engine call leaves one line that an operator can search, and no secret in it."""

from __future__ import annotations

from uuid import uuid4

import pytest
import structlog
from structlog.testing import capture_logs

from deftmail.engine.errors import EngineRefused, EngineUnavailable, Unexpected
from deftmail.engine.observed import ObservedEngine
from deftmail.engine.port import GroupSpec, MailEngine
from deftmail.engine.redact import redact
from deftmail.engine.testing import CHEAP_HASH, FakeEngine, domain_spec, mailbox_spec, private_key

OPERATIONS = sorted(name for name in vars(MailEngine) if not name.startswith("_") and name not in {"capabilities"})


@pytest.fixture
def fake() -> FakeEngine:
    return FakeEngine()


def test_a_call_is_one_line_with_everything_an_operator_asks_for(fake: FakeEngine) -> None:
    engine = ObservedEngine(fake)
    with structlog.contextvars.bound_contextvars(request_id="r-1"), capture_logs() as lines:
        engine.apply_domain(domain_spec("acme.test"))
    (line,) = lines
    assert line.pop("duration_ms") >= 0
    assert line == {
        "event": "engine_call",
        "log_level": "info",
        "engine": "fake",
        "operation": "apply_domain",
        "object": "acme.test",
        "request_id": "r-1",
        "outcome": "ok",
    }


def test_a_job_without_a_request_gets_an_id_of_its_own(fake: FakeEngine) -> None:
    with capture_logs() as lines:
        ObservedEngine(fake).list_domains()
    assert len(lines[0]["request_id"]) == 32


def test_no_call_of_the_port_escapes_the_log(fake: FakeEngine) -> None:
    engine = ObservedEngine(fake)
    box = mailbox_spec("a@acme.test")
    arguments: dict[str, tuple[object, ...]] = {
        "apply_domain": (domain_spec("acme.test"),),
        "apply_group": (GroupSpec(uuid4(), "g@acme.test", ("a@acme.test",)),),
        "apply_mailbox": (box,),
        "apply_mailboxes": ([box],),
        "health": (),
        "issue_app_password": ("a@acme.test", box.id, "phone"),
        "jmap_access": ("a@acme.test",),
        "list_domains": (),
        "list_mailboxes": ("acme.test",),
        "remove_domain": ("acme.test", uuid4()),
        "remove_group": ("g@acme.test", uuid4()),
        "remove_mailbox": ("a@acme.test", uuid4()),
        "revoke_app_password": ("a@acme.test", uuid4(), "1"),
        "usage": (["a@acme.test"],),
    }
    assert sorted(arguments) == [name for name in OPERATIONS if name != "close"]
    for operation, given in arguments.items():
        with capture_logs() as lines:
            getattr(engine, operation)(*given)
        assert [line["operation"] for line in lines] == [operation]


def test_a_failure_says_why_and_whether_it_heals(fake: FakeEngine) -> None:
    fake.fail(EngineUnavailable("connection refused"))
    with capture_logs() as lines, pytest.raises(EngineUnavailable):
        ObservedEngine(fake).list_domains()
    (line,) = lines
    assert (line["outcome"], line["error"], line["permanent"]) == ("unavailable", "connection refused", False)
    assert line["log_level"] == "warning"


def test_secrets_of_the_spec_never_reach_the_line_or_the_error(fake: FakeEngine) -> None:
    pem = private_key()
    fake.fail(EngineRefused(f"cannot read {pem} nor {CHEAP_HASH}"))
    with capture_logs() as lines, pytest.raises(EngineRefused) as raised:
        ObservedEngine(fake).apply_domain(domain_spec("acme.test"))
    for text in (str(lines), str(raised.value)):
        assert "PRIVATE KEY" not in text
        assert CHEAP_HASH not in text
        assert pem.splitlines()[1] not in text
    assert lines[0]["error"] == "cannot read [hidden] nor [hidden]"


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEvQ cut short",
        "$2b$12$abcdefghijklmnopqrstuu",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln",
    ],
)
def test_what_looks_like_a_secret_is_hidden(secret: str) -> None:
    assert redact(f"before {secret}") == "before [hidden]"


def test_headers_and_urls_lose_their_credentials() -> None:
    assert redact("Authorization: Bearer abc.def-1") == "Authorization: Bearer [hidden]"
    assert redact("redis://default:s3cret@127.0.0.1:1/0") == "redis://[hidden]@127.0.0.1:1/0"


def test_a_socket_error_is_an_unavailable_engine(fake: FakeEngine) -> None:
    def broken() -> None:
        raise ConnectionRefusedError("no")

    fake.list_domains = broken  # type: ignore[assignment,method-assign]
    with pytest.raises(EngineUnavailable):
        ObservedEngine(fake).list_domains()


def test_a_bug_in_a_driver_is_an_engine_error_too(fake: FakeEngine) -> None:
    def broken() -> None:
        raise KeyError("x")

    fake.list_domains = broken  # type: ignore[assignment,method-assign]
    with capture_logs() as lines, pytest.raises(Unexpected):
        ObservedEngine(fake).list_domains()
    assert lines[0]["outcome"] == "unexpected"


@pytest.mark.parametrize("address", ["a@acme.test/x", "user.a@", "A@acme.test", 'a"@acme.test', "a*@acme.test", "a"])
def test_no_driver_ever_sees_a_hostile_name(fake: FakeEngine, address: str) -> None:
    with pytest.raises(EngineRefused):
        ObservedEngine(fake).remove_mailbox(address, uuid4())
    assert fake.calls == []
