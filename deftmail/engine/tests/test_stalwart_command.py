"""`deftmail engine conformance --engine stalwart` on the fake behind real sockets: HTTP, SMTP with sign-in, a sink."""

from __future__ import annotations

import base64
import copy
import json
import socket
import threading
from collections.abc import Iterator
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from django.core.management import CommandError, call_command

from deftmail.engine.drivers.stalwart import doors, setup
from deftmail.engine.drivers.stalwart.fake.mail import Refusal
from deftmail.engine.drivers.stalwart.fake.serve import served
from deftmail.engine.drivers.stalwart.fake.server import FakeStalwart
from deftmail.engine.drivers.stalwart.scaffold import Scaffold
from deftmail.engine.drivers.stalwart.wanted import Wanted
from deftmail.engine.drivers.stalwart.wire import Management
from deftmail.engine.drivers.stalwart.world import StalwartWorld
from deftmail.engine.errors import EngineBusy
from deftmail.engine.port import GroupSpec

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
    lines, well = _run("--url", url, "--admin", ADMIN, "--smtp", smtp, "--sink", "192.0.2.2:2525", *_cases(CASES))
    problems = {line["name"]: line["problem"] for line in lines[:-1] if not line["ok"]}
    assert problems == {}
    assert well
    assert lines[-1] == {"engine": "stalwart", "cases": len(CASES), "passed": len(CASES), "failed": 0, "skipped": 0}
    assert {kind: set(objects) for kind, objects in fake.registry.objects.items()} == before
    assert fake.registry.singletons["MtaOutboundStrategy"] == strategy
    assert fake.queue.outside[-1][1].startswith("somebody@conformance-sink-")


def test_a_failure_is_a_line_and_a_status(server: tuple[FakeStalwart, str, str]) -> None:
    fake, url, smtp = server
    names = ("mailbox-has-its-folders-by-role", "domain-is-listed-with-its-id")
    original, fake.registry.shown = fake.registry.shown, lambda kind, one: {**original(kind, one), "description": None}  # type: ignore[method-assign]
    try:
        lines, well = _run("--url", url, "--admin", ADMIN, "--smtp", smtp, *_cases(names))
    finally:
        fake.registry.shown = original  # type: ignore[method-assign]
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
        (("--url", "http://127.0.0.1:1", "--admin", "a:b", "--smtp", "x:1", "--sink", "localhost:25"), "no loopback"),
        (("--url", "http://127.0.0.1:1", "--admin", "a:b", "--smtp", "x:1", "--listen", "192.0.2.1"), "--listen"),
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


def test_without_a_sink_the_remote_case_is_skipped_not_passed(server: tuple[FakeStalwart, str, str]) -> None:
    _, url, smtp = server
    lines, well = _run("--url", url, "--admin", ADMIN, "--smtp", smtp, *_cases(CASES[-1:]))
    assert well
    assert (lines[0]["outcome"], lines[0]["skipped"][:9]) == ("skipped", "no --sink")
    assert lines[-1] == {"engine": "stalwart", "cases": 1, "passed": 0, "failed": 0, "skipped": 1}


def test_after_a_set_up_whose_web_is_away_the_cases_pass_and_its_hooks_are_as_before(
    server: tuple[FakeStalwart, str, str],
) -> None:
    fake, url, smtp = server
    admin = Management(url, "Basic " + base64.b64encode(ADMIN.encode()).decode())
    wanted = Wanted("http://127.0.0.1:1", "acme.test")  # tcpmux: nothing listens there
    setup.apply(admin, setup.plan(setup.read(admin, wanted), wanted))
    before = copy.deepcopy(fake.registry.applied["MtaHook"])
    names = ("mail-submitted-by-a-mail-program-arrives", "hook-refusal-reaches-the-webmail")
    try:
        lines, well = _run("--url", url, "--admin", ADMIN, "--smtp", smtp, *_cases(names))
        assert well, lines
        assert fake.registry.applied["MtaHook"] == before
        assert setup.plan(setup.read(admin, wanted), wanted, key_works=True).steps == ()
    finally:
        for kind in ("MtaHook", "WebHook"):
            admin.set(kind, destroy=list(fake.registry.objects[kind]))
        setup.reload_settings(admin)


def test_what_a_killed_run_left_is_gone_after_the_next(server: tuple[FakeStalwart, str, str]) -> None:
    fake, url, smtp = server
    admin = Management(url, "Basic " + base64.b64encode(ADMIN.encode()).decode())
    theirs = {"url": "http://theirs.test/hook", "enable": {"else": "false", "match": {}}}
    fake.registry.create("MtaHook", theirs)
    before = {kind: set(objects) for kind, objects in fake.registry.objects.items()}
    killed = Scaffold(url, ADMIN)
    killed.open().apply_group(GroupSpec(uuid4(), f"team@{killed.domain.name}", (killed.postman[0],), "Team"))
    killed.route_to(("192.0.2.2", 2525))
    hook = {"url": "http://127.0.0.1:1/deftmail-conformance/hook", "enable": {"else": "true", "match": {}}}
    admin.set("MtaHook", create={"h": hook})
    assert "ends_with" in str(fake.registry.objects["MtaHook"])
    _, well = _run("--url", url, "--admin", ADMIN, "--smtp", smtp, *_cases(("domain-is-listed-with-its-id",)))
    assert well
    assert {kind: set(objects) for kind, objects in fake.registry.objects.items()} == before
    assert "ends_with" not in str(fake.registry.objects["MtaHook"])
    assert fake.registry.singletons["MtaOutboundStrategy"]["route"]["match"] == {}
    admin.set("MtaHook", destroy=list(fake.registry.objects["MtaHook"]))


def test_what_cannot_be_taken_away_is_a_line_and_a_status(
    server: tuple[FakeStalwart, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, url, smtp = server
    monkeypatch.setattr(StalwartWorld, "clean", lambda *_: (_ for _ in ()).throw(EngineBusy("still linked")))
    lines, well = _run("--url", url, "--admin", ADMIN, "--smtp", smtp, *_cases(("domain-is-listed-with-its-id",)))
    assert not well
    assert "still linked" in lines[1]["left_behind"]
    assert lines[-1]["failed"] == 0


def test_a_port_that_is_silent_begins_with_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_server(("127.0.0.1", 0)) as speaking:

        def greet() -> None:
            connection, _ = speaking.accept()
            with connection:
                connection.sendall(b"220 here\r\n")

        threading.Thread(target=greet, daemon=True).start()
        assert not doors.tls_at_once("127.0.0.1", speaking.getsockname()[1])
        doors.GREETING, before = 0.2, doors.GREETING
        try:
            assert doors.tls_at_once("127.0.0.1", silent.getsockname()[1])
        finally:
            doors.GREETING = before
