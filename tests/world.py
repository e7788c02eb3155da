"""The running test stack as an outsider meets it: command line, API, DNS, SMTP, IMAP. Nothing of ours is imported."""

from __future__ import annotations

import contextlib
import imaplib
import json
import os
import smtplib
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

import dns.message
import dns.query
import dns.rdatatype
import dns.tsigkeyring
import dns.update
import httpx2

ROOT = Path(__file__).resolve().parents[1]
DEFTMAIL = ROOT / ".venv" / "bin" / "deftmail"
T = TypeVar("T")
PATIENCE = 60.0  # seconds for what a worker does in the background


def until(what: Callable[[], T | None], why: str, seconds: float = PATIENCE) -> T:
    """Ask again until `what` answers something true; fails with `why`."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {why}"
        time.sleep(0.25)


def run(*words: str, stdin: str | None = None, var: Path | None = None, seconds: float = 120) -> str:
    """`deftmail …` on the stack at `var` (default `$DEFTMAIL_VAR`); its standard output."""
    environ = dict(os.environ)
    if var is not None:
        # What this process read from its own stack's file would win over the other's.
        environ = {name: value for name, value in environ.items() if not name.startswith("DEFTMAIL_")}
        environ["DEFTMAIL_VAR"] = str(var)
    done = subprocess.run(
        [DEFTMAIL, *words], capture_output=True, text=True, timeout=seconds, check=False, input=stdin, env=environ
    )
    assert done.returncode == 0, f"deftmail {' '.join(words)}: {done.stderr[-2000:]}"
    return done.stdout


def environment(var: Path | None = None) -> dict[str, str]:
    """What the stack wrote for its processes."""
    file = (var or Path(os.environ["DEFTMAIL_VAR"])) / "deftmail.env"
    lines = (line.partition("=") for line in file.read_text().splitlines() if "=" in line and not line.startswith("#"))
    return {name: value.strip('"') for name, _, value in lines}


@dataclass
class Company:
    """A company made by the operator's command, seen through its API key."""

    tenant_id: str
    api_key: str
    owner: str
    password: str
    base: str

    @property
    def api(self) -> httpx2.Client:
        """A client that carries the key."""
        return httpx2.Client(
            base_url=self.base + "/api/v1", headers={"Authorization": f"Bearer {self.api_key}"}, timeout=30
        )


@dataclass
class World:
    """One running stack: that of `$DEFTMAIL_VAR`, or the one at `var`."""

    var: Path | None = None
    status: dict[str, Any] = field(init=False)
    env: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.status = json.loads(run("stack", "status", "--json", var=self.var))
        self.env = environment(self.var)

    def company(self, name: str, owner: str, password: str, plan: str = "business") -> Company:
        """`deftmail tenant create`."""
        said = json.loads(
            run(
                *("tenant", "create", "--company", name, "--owner-email", owner),
                *("--password", password, "--plan", plan, "--json"),
                var=self.var,
            )
        )
        return Company(said["tenant_id"], said["api_key"], owner, password, self.status["web"])

    def zone(self, name: str) -> None:
        """An empty zone on the local DNS."""
        run("stack", "zone", "create", name, var=self.var)

    def publish(self, zone: str, records: list[dict[str, Any]]) -> None:
        """Put the records the API returned into the zone (RFC 2136)."""
        access = self.status["dns"]
        keyring = dns.tsigkeyring.from_text({access["tsig_name"]: access["tsig_secret"]})
        update = dns.update.UpdateMessage(zone, keyring=keyring, keyalgorithm=access["tsig_algorithm"])
        for record in records:
            value = f"{record['priority']} {record['value']}." if record["type"] == "MX" else _quoted(record["value"])
            update.replace(record["name"] + ".", 5, record["type"], value)
        answer = dns.query.tcp(update, access["host"], port=access["port"], timeout=5)
        assert answer.rcode() == 0, answer

    def txt(self, name: str) -> bytes:
        """A TXT record's joined strings, or nothing (the look-up that dkimpy is given)."""
        query = dns.message.make_query(name, dns.rdatatype.TXT)
        answer = dns.query.udp(query, self.status["dns"]["host"], port=self.status["dns"]["port"], timeout=5)
        for rrset in answer.answer:
            for record in rrset:
                return b"".join(record.strings)
        return b""

    def tls(self) -> ssl.SSLContext:
        """Trusts the stack's own certificate authority, and nothing else."""
        return ssl.create_default_context(cafile=self.env["DEFTMAIL_CA_FILE"])

    @contextlib.contextmanager
    def submission(self, address: str, password: str) -> Iterator[smtplib.SMTP]:
        """Signed in on the submission port, over STARTTLS."""
        host, _, port = self.status["submission"].rpartition(":")
        with smtplib.SMTP(host, int(port), timeout=30) as client:
            client.starttls(context=self.tls())
            client.login(address, password)
            yield client

    @contextlib.contextmanager
    def outside(self, address: str = "198.51.100.25", name: str = "mx.outside.example") -> Iterator[smtplib.SMTP]:
        """Another mail server at the MX port: XCLIENT names its address, as only loopback may."""
        host, _, port = self.status["smtp"].rpartition(":")
        with smtplib.SMTP(host, int(port), timeout=60) as client:
            client.ehlo()
            code, said = client.docmd("XCLIENT", f"ADDR={address} NAME={name} HELO={name}")
            assert code == 220, said
            client.ehlo(name)
            yield client

    @contextlib.contextmanager
    def imap(self, address: str, password: str) -> Iterator[imaplib.IMAP4]:
        """Signed in to the mailbox."""
        host, _, port = self.status["imap"].rpartition(":")
        client = imaplib.IMAP4(host, int(port), timeout=30)
        client.starttls(self.tls())
        client.login(address, password)
        try:
            yield client
        finally:
            client.logout()

    def fetch(self, address: str, password: str, subject: str, folder: str = "INBOX") -> bytes | None:
        """The newest message of that subject, byte for byte."""
        with self.imap(address, password) as client:
            if client.select(folder, readonly=True)[0] != "OK":
                return None
            _status, found = client.search(None, "SUBJECT", f'"{subject}"')
            numbers = found[0].split()
            if not numbers:
                return None
            _status, parts = client.fetch(numbers[-1].decode(), "(BODY.PEEK[])")
            part = parts[0]
            assert isinstance(part, tuple)
            return bytes(part[1])


def _quoted(text: str) -> str:
    return " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))


def letter(sender: str, to: str, subject: str, text: str = "Hello.\n", **headers: str) -> EmailMessage:
    """A plain message as a mail program writes it."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message
