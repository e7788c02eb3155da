"""For tests marked `servers`: the running stack of `$DEFTMAIL_VAR`, its addresses, its DNS, its caught mail."""

import email
import email.policy
import os
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

import dns.message
import dns.query
import dns.rcode
import dns.tsigkeyring
import dns.update

from deftmail.stack import status
from deftmail.stack.cli import default_var
from deftmail.stack.errors import StackError
from deftmail.stack.services import knot
from deftmail.stack.site import Site, parse_environment

T = TypeVar("T")


@dataclass(frozen=True)
class RunningStack:
    """A stack that answers. `env` is what DeftMail's processes have, `status` what `stack status --json` prints."""

    site: Site
    env: dict[str, str]
    status: dict[str, Any]

    @property
    def var(self) -> Path:
        return self.site.layout.var

    def address(self, name: str) -> tuple[str, int]:
        """Host and port of a variable, `DEFTMAIL_IMAP` for example."""
        host, _, port = self.env[name].rpartition(":")
        return host, int(port)

    def publish(self, zone: str, records: Iterable[tuple[str, str, str]], ttl: int = 5) -> None:
        """Put records (name relative to the zone or `@`, type, text form) on the local DNS by RFC 2136.

        Makes the zone where there is none. A record replaces those of its name and type.
        """
        self.make_zone(zone)
        where = self.status["dns"]
        keys = dns.tsigkeyring.from_text({where["tsig_name"]: where["tsig_secret"]})
        update = dns.update.UpdateMessage(zone, keyring=keys, keyalgorithm=where["tsig_algorithm"])
        for name, kind, value in records:
            update.replace(name, ttl, kind, value)
        answer = dns.query.tcp(update, where["host"], port=where["port"], timeout=5)
        if answer.rcode() != dns.rcode.NOERROR:
            raise StackError(f"update of {zone} refused: {dns.rcode.to_text(answer.rcode())}")

    def make_zone(self, zone: str) -> None:
        """An empty zone, or the one that is there. Through the command where this process is not root."""
        if os.geteuid() == 0:
            knot.create_zone(self.site, zone)
        else:
            command = [sys.executable, "-m", "deftmail.stack", "zone", "create", zone, "--var", str(self.var)]
            subprocess.run(command, check=True, capture_output=True, timeout=30)

    def ask(self, name: str, kind: str) -> dns.message.Message:
        """One question to the local DNS."""
        where = self.status["dns"]
        answer, _ = dns.query.udp_with_fallback(
            dns.message.make_query(name, kind), where["host"], port=where["port"], timeout=5
        )
        return answer

    def receive(self, message: EmailMessage, recipient: str, address: str = "198.51.100.7") -> None:
        """Deliver a message to the MX as a host of the outside world with this address (XCLIENT)."""
        helo = "mx.outside.example"
        with smtplib.SMTP(*self.address("DEFTMAIL_MX"), timeout=30) as link:
            link.ehlo(helo)
            link.docmd("XCLIENT", f"ADDR={address} NAME={helo} HELO={helo}")
            link.ehlo(helo)
            link.send_message(message, from_addr=message["From"].addresses[0].addr_spec, to_addrs=[recipient])

    def caught(self, recipient: str) -> list[EmailMessage]:
        """Mail for the outside world that was caught for this recipient, oldest first."""
        folder = Path(self.env["DEFTMAIL_OUTBOX_DIR"])
        found = []
        for path in sorted((*folder.glob("new/*"), *folder.glob("cur/*")), key=lambda path: path.stat().st_mtime_ns):
            message = email.message_from_bytes(path.read_bytes(), _class=EmailMessage, policy=email.policy.default)
            if message["Delivered-To"] == recipient:
                found.append(message)
        return found

    def wait_caught(self, recipient: str, seconds: float = 20) -> EmailMessage:
        """The first message caught for this recipient. Raises StackError when none comes in time."""
        return wait_for(lambda: next(iter(self.caught(recipient)), None), f"mail for {recipient}", seconds)


def wait_for(look: Callable[[], T | None], what: str, seconds: float = 20) -> T:
    """Ask again until there is an answer. Raises StackError naming `what` when time is up."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise StackError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.1)
    return found


def running_stack(var: Path | None = None) -> RunningStack:
    """The stack at `var` (default `$DEFTMAIL_VAR`). Raises StackError where it does not run."""
    site = Site.load(var or default_var())
    if status.load_running(site) is None:
        raise StackError(f"no stack runs in {site.layout.var}: deftmail stack up --var {site.layout.var} --mode test")
    env = parse_environment(site.layout.env_file.read_text())
    return RunningStack(site=site, env=env, status=status.status(site))
