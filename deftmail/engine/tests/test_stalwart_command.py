"""`deftmail engine conformance --engine stalwart` on the fake behind real sockets: HTTP, SMTP with sign-in, a sink."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from django.core.management import CommandError, call_command

from deftmail.engine.drivers.stalwart.fake.mail import Refusal
from deftmail.engine.drivers.stalwart.fake.serve import served
from deftmail.engine.drivers.stalwart.fake.server import FakeStalwart

# Not the stack's servers but its own (HTTP, SMTP, a sink): half a minute, too long for `make test-fast`.
pytestmark = pytest.mark.servers

ADMIN = "admin:s3cret-admin-pw"
CASES = (
    "domain-is-listed-with-its-id",
    "mailbox-has-its-folders-by-role",
    "full-mailbox-defers-mail",
    "mail-for-nobody-is-refused",
    "engine-away-is-unavailable-not-refused",
    "mail-submitted-by-a-mail-program-arrives",
    "wrong-password-neither-signs-in-nor-sends",
    "nobody-sends-as-another",
    "suspended-mailbox-reads-but-does-not-send",
    "hook-refusal-reaches-a-mail-program",
    "delivery-is-told-of-a-remote-recipient",
)


class _Submission:
    """aiosmtpd's side: sign-in and mail are the fake's."""

    def __init__(self, fake: FakeStalwart) -> None:
        self.fake = fake

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        session.pair = (data.login.decode(), data.password.decode())
        return AuthResult(success=self.fake.signs_in(*session.pair), handled=False)

    async def handle_DATA(  # noqa: N802 -- aiosmtpd's name
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        login, password = session.pair
        try:
            self.fake.smtp_submit(login, password, envelope.mail_from, envelope.rcpt_tos, envelope.content)
        except Refusal as error:
            return f"{error.code} {error}"
        return "250 2.0.0 queued"


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[FakeStalwart, str, str]]:
    fake = FakeStalwart(ADMIN)
    submission = _Submission(fake)
    with socket.socket() as probe:  # aiosmtpd looks at itself under the port it was told
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(
        submission,
        hostname="127.0.0.1",
        port=port,
        authenticator=submission.authenticate,
        auth_require_tls=False,
        auth_required=True,
    )
    controller.start()
    with served(fake) as url:
        yield fake, url, f"127.0.0.1:{port}"
    controller.stop()


def _run(*arguments: str) -> tuple[list[dict[str, Any]], bool]:
    out = StringIO()
    status: object = 0
    try:
        call_command("engine", "conformance", "--engine", "stalwart", *arguments, "--json", stdout=out)
    except SystemExit as error:
        status = error.code
    return [json.loads(line) for line in out.getvalue().splitlines()], status == 0


def _cases(names: tuple[str, ...]) -> list[str]:
    return [word for name in names for word in ("--case", name)]


def test_the_command_passes_and_leaves_nothing_behind(server: tuple[FakeStalwart, str, str]) -> None:
    fake, url, smtp = server
    before = {kind: set(objects) for kind, objects in fake.registry.objects.items()}
    strategy = dict(fake.registry.singletons["MtaOutboundStrategy"])
    lines, well = _run("--url", url, "--admin", ADMIN, "--smtp", smtp, "--sink", "127.0.0.1:0", *_cases(CASES))
    problems = {line["name"]: line["problem"] for line in lines[:-1] if not line["ok"]}
    assert problems == {}
    assert well
    assert lines[-1] == {"engine": "stalwart", "cases": len(CASES), "passed": len(CASES), "failed": 0}
    assert {kind: set(objects) for kind, objects in fake.registry.objects.items()} == before
    assert fake.registry.singletons["MtaOutboundStrategy"] == strategy
    assert fake.outside[-1][1].startswith("somebody@sink-")


def test_a_failure_is_a_line_and_a_status(server: tuple[FakeStalwart, str, str]) -> None:
    fake, url, smtp = server
    names = ("mailbox-has-its-folders-by-role", "domain-is-listed-with-its-id")
    fake.makes_archive = True
    original, fake.registry.shown = fake.registry.shown, lambda kind, one: {**original(kind, one), "description": None}  # type: ignore[method-assign]
    try:
        lines, well = _run("--url", url, "--admin", ADMIN, "--smtp", smtp, *_cases(names))
    finally:
        fake.registry.shown = original  # type: ignore[method-assign]
        fake.makes_archive = False
    assert not well
    assert lines[0]["name"] == "domain-is-listed-with-its-id"
    assert lines[0]["problem"].startswith("AssertionError")
    assert lines[-1]["failed"] == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "missing: --url, --admin, --smtp"),
        (("--url", "http://127.0.0.1:1", "--admin", "admin", "--smtp", "x:1"), "USER:PASSWORD"),
        (("--url", "http://127.0.0.1:1", "--admin", "a:b", "--smtp", "nowhere"), "not HOST:PORT"),
        (("--url", "http://127.0.0.1:1", "--admin", "a:b", "--smtp", "x:1", "--case", "nonsense"), "No such case"),
        (("--url", "http://127.0.0.1:1", "--admin", "a:b", "--smtp", "x:1"), "could not be asked"),
    ],
)
def test_what_is_wrong_with_the_arguments_is_said(arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        _run(*arguments)


def test_a_wrong_administrator_is_said(server: tuple[FakeStalwart, str, str]) -> None:
    _, url, smtp = server
    with pytest.raises(CommandError, match="401") as caught:
        _run("--url", url, "--admin", "admin:wrong", "--smtp", smtp)
    assert caught.value.returncode == 2
