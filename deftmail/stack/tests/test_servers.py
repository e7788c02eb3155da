"""The real servers: zones, caught mail, health, and a stack of its own that is killed in several ways."""

import json
import os
import shutil
import signal
import smtplib
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import dns.rcode
import dns.tsig
import pytest

from deftmail.stack import processes
from deftmail.stack.errors import StackError
from deftmail.stack.services import knot
from deftmail.stack.testing import RunningStack, running_stack, wait_for

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def stack() -> RunningStack:
    return running_stack()


def _command(*words: str, var: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "deftmail.stack", *words, "--var", str(var)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def _zone() -> str:
    return f"zone-{uuid.uuid4().hex[:8]}.test"


def test_every_service_answers(stack: RunningStack) -> None:
    result = _command("status", "--json", var=stack.var)
    services = json.loads(result.stdout)["services"]
    assert result.returncode == 0, services
    assert {"postgres", "redis", "knot", "cyrus", "postfix", "rspamd", "gate", "worker", "web"} <= set(services)
    assert all(one["healthy"] and one["pid"] for one in services.values())


def test_a_zone_is_made_takes_updates_and_goes(stack: RunningStack) -> None:
    zone = _zone()
    assert stack.ask(zone, "SOA").rcode() == dns.rcode.NXDOMAIN
    assert "made" in _command("zone", "create", zone, var=stack.var).stdout
    assert stack.ask(zone, "MX").rcode() == dns.rcode.NOERROR
    stack.publish(zone, [("@", "MX", "10 mail.deftmail.test."), ("_dmarc", "TXT", '"v=DMARC1; p=none"')])
    assert "10 mail.deftmail.test." in str(stack.ask(zone, "MX").answer[0])
    # Making it again takes nothing away.
    assert "there already" in _command("zone", "create", zone, var=stack.var).stdout
    assert "v=DMARC1" in str(stack.ask(f"_dmarc.{zone}", "TXT").answer[0])
    assert _command("zone", "delete", zone, var=stack.var).returncode == 0
    assert stack.ask(zone, "MX").rcode() == dns.rcode.NXDOMAIN
    assert _command("zone", "delete", zone, var=stack.var).returncode == 1


def test_an_unknown_name_is_answered_at_once(stack: RunningStack) -> None:
    began = time.monotonic()
    answer = stack.ask("no.such.name.example", "A")
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert time.monotonic() - began < 1


def test_an_update_without_the_key_is_refused(stack: RunningStack) -> None:
    zone = _zone()
    knot.create_zone(stack.site, zone)
    stranger = RunningStack(
        stack.site, stack.env, stack.status | {"dns": stack.status["dns"] | {"tsig_secret": "AAAA" * 10 + "AAA="}}
    )
    with pytest.raises(dns.tsig.PeerBadSignature):
        stranger.publish(zone, [("@", "TXT", '"mine"')])
    assert not stack.ask(zone, "TXT").answer


@pytest.mark.parametrize("name", ["deftmail.test", "mail.deftmail.test", "a.B.deftmail.test."])
def test_the_operators_zone_cannot_be_replaced_or_hidden(stack: RunningStack, name: str) -> None:
    with pytest.raises(StackError, match="operator's own"):
        knot.create_zone(stack.site, name)


def _letter(sender: str, recipient: str) -> EmailMessage:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = sender, recipient, "hello"
    letter["Bcc"] = "secret@outside.example"
    letter.set_content("text")
    return letter


def test_mail_for_the_outside_world_is_caught_signed_and_without_bcc(stack: RunningStack) -> None:
    recipient = f"{uuid.uuid4().hex[:8]}@nowhere.example"
    letter = _letter("noreply@deftmail.test", recipient)
    with smtplib.SMTP(*stack.address("DEFTMAIL_SMTP_SYSTEM"), timeout=30) as link:
        link.sendmail("noreply@deftmail.test", [recipient], letter.as_bytes())
    caught = stack.wait_caught(recipient)
    assert caught["X-Original-To"] == recipient
    assert "d=deftmail.test" in caught["DKIM-Signature"]
    assert caught["Message-ID"].endswith("@deftmail.test>")
    assert caught["Date"]
    assert "Bcc" not in caught


def test_another_domains_signature_is_not_given_to_the_product(stack: RunningStack) -> None:
    recipient = f"{uuid.uuid4().hex[:8]}@nowhere.example"
    letter = _letter("someone@acme.test", recipient)
    with smtplib.SMTP(*stack.address("DEFTMAIL_SMTP_SYSTEM"), timeout=30) as link:
        link.sendmail("noreply@deftmail.test", [recipient], letter.as_bytes())
    assert "DKIM-Signature" not in stack.wait_caught(recipient)


def test_the_mx_relays_for_nobody(stack: RunningStack) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        stack.receive(_letter("a@outside.example", "b@nowhere.example"), "b@nowhere.example")
    assert refused.value.recipients["b@nowhere.example"][0] >= 450


@pytest.mark.parametrize("local", ["postmaster", "Abuse", "hostmaster", "dmarc", "support", "dmarc+acme.test"])
def test_what_our_dns_and_our_pages_name_is_read_by_the_operator(stack: RunningStack, local: str) -> None:
    letter = _letter("a@outside.example", f"{local}@deftmail.test")
    letter["X-Mark"] = uuid.uuid4().hex
    stack.receive(letter, f"{local}@deftmail.test")

    def arrived() -> bool | None:
        caught = stack.caught("operator@elsewhere.example")
        return any(message["X-Mark"] == letter["X-Mark"] for message in caught) or None

    wait_for(arrived, "the operator's mail")


def test_any_other_address_of_the_operator_is_refused(stack: RunningStack) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        stack.receive(_letter("a@outside.example", "no-reply@deftmail.test"), "no-reply@deftmail.test")
    assert refused.value.recipients["no-reply@deftmail.test"][0] == 550


def test_submission_sends_nothing_unsigned_in(stack: RunningStack) -> None:
    with (
        smtplib.SMTP(*stack.address("DEFTMAIL_SUBMISSION"), timeout=30) as link,
        pytest.raises((smtplib.SMTPSenderRefused, smtplib.SMTPRecipientsRefused)),
    ):
        link.sendmail("a@outside.example", ["b@nowhere.example"], b"From: a@outside.example\r\n\r\nx")


# A small stack of its own, so that killing things disturbs no other test.
ONLY = ("redis", "knot", "postfix")


@pytest.fixture
def small() -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("starts servers of its own, which takes root")
    var = running_stack().var / f"small-{uuid.uuid4().hex[:6]}"
    yield var
    _command("down", var=var)
    shutil.rmtree(var, ignore_errors=True)


def _up(var: Path) -> "subprocess.CompletedProcess[str]":
    return _command("up", "--mode", "test", "--no-demo", "--only", ",".join(ONLY), var=var)


def _services(var: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_command("status", "--json", var=var).stdout)["services"]
    return found


def _sessions(var: Path) -> list[int]:
    return [int(path.read_text().split()[0]) for path in (var / "run").glob("*.pid") if path.stem in ONLY]


def test_a_killed_child_comes_back_and_an_end_leaves_nothing(small: Path) -> None:
    assert _up(small).returncode == 0
    before = _services(small)
    assert set(before) == set(ONLY)
    os.kill(before["postfix"]["pid"], signal.SIGKILL)

    def back() -> Any:
        now = _services(small)["postfix"]
        return now if now["healthy"] and now["pid"] != before["postfix"]["pid"] else None

    wait_for(back, "postfix to come back")
    sessions = _sessions(small)
    supervisor = int((small / "run" / "supervisor.pid").read_text().split()[0])
    assert len(processes.members(sessions)) > len(ONLY)
    os.kill(supervisor, signal.SIGTERM)
    assert processes.wait_gone([supervisor], 30) == []
    assert processes.members(sessions, f"deftmail-{small.name}") == []
    assert not [pid for pid in sessions if processes.alive(pid)]


def test_a_start_ends_what_a_killed_supervisor_left(small: Path) -> None:
    assert _up(small).returncode == 0
    ports = json.loads((small / "stack.json").read_text())["ports"]
    sessions = _sessions(small)
    supervisor = int((small / "run" / "supervisor.pid").read_text().split()[0])
    os.kill(supervisor, signal.SIGKILL)
    processes.wait_gone([supervisor], 5)
    assert processes.members(sessions)
    again = _up(small)
    assert again.returncode == 0, again.stderr
    assert processes.members(sessions) == []
    assert json.loads((small / "stack.json").read_text())["ports"] == ports
    assert all(one["healthy"] for one in _services(small).values())


def test_one_stack_has_one_supervisor_and_zones_outlive_a_restart(small: Path) -> None:
    assert _up(small).returncode == 0
    assert "running already" in _up(small).stdout
    second = _command("run", "--only", "redis", var=small)
    assert second.returncode == 1
    assert "running already" in second.stderr
    assert _command("zone", "create", "kept.test", var=small).returncode == 0
    assert _command("down", var=small).returncode == 0
    assert _up(small).returncode == 0
    assert "there already" in _command("zone", "create", "kept.test", var=small).stdout
    assert running_stack(small).ask("kept.test", "SOA").answer


def test_a_start_that_fails_says_why_and_leaves_nothing(small: Path) -> None:
    assert _up(small).returncode == 0
    assert _command("down", var=small).returncode == 0
    (small / "knot" / "zones" / "broken name.zone").write_text("nothing")
    failed = _up(small)
    assert failed.returncode == 1
    assert "zones.conf" in failed.stderr
    assert not [one for one in _services(small).values() if one["pid"]]
