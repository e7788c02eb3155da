"""Mail programs that are signed in while their mailbox is disabled, deleted or given another password."""

from __future__ import annotations

import imaplib
import secrets
import smtplib
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from tests.world import Company, World, until

pytestmark = pytest.mark.servers
PASSWORD = "plum orbit ledger quay"
FRESH = "quay ledger orbit plum"
DOORS_KNOW_WITHIN = 3.0
"""Seconds: the gate remembers facts of a sender for one."""
ENDS_WITHIN = 8.0
"""Seconds from the answer to whoever changes a mailbox to the end of its last session, with a worker that is busy."""


class Program:
    """A mail program with the inbox open over TLS, which waits for news (IDLE) or not."""

    def __init__(self, world: World, address: str, *, idle: bool) -> None:
        host, _, port = world.status["imap"].rpartition(":")
        self.client = imaplib.IMAP4(host, int(port), timeout=30)
        self.client.starttls(world.tls())
        self.client.login(address, PASSWORD)
        self.client.select()
        self.idle = idle
        if idle:
            self.client.send(b"i IDLE\r\n")
            assert self.client.readline().startswith(b"+ ")

    def hung_up_on(self, seconds: float) -> bool:
        """Whether the server ends the connection within so many seconds, unasked."""
        self.client.sock.settimeout(max(seconds, 0.01))
        try:
            while self.client.readline():  # a goodbye, if any
                pass
        except TimeoutError:
            return False
        except OSError:  # cut off without TLS's own goodbye
            pass
        return True

    def is_answered(self) -> bool:
        """Whether the server still answers."""
        if self.idle:
            self.client.send(b"DONE\r\n")
            return self.client.readline().startswith(b"i OK")
        return self.client.noop()[0] == "OK"


class Office:
    """A company with an active domain."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.domain = f"sessions{secrets.token_hex(4)}.test"
        self.company: Company = world.company("Sessions", f"owner@{secrets.token_hex(4)}.example", PASSWORD)
        with self.company.api as api:
            made = api.post("/domains", json={"domain": self.domain}).json()
            world.zone(self.domain)
            world.publish(self.domain, made["dns_records"])
            verify = f"/domains/{made['id']}/verify"
            until(lambda: api.post(verify).json().get("status") == "active", "the domain becomes active")

    def mailbox(self) -> tuple[str, str]:
        """Address and API path of a new mailbox that is ready."""
        with self.company.api as api:
            address = f"m{secrets.token_hex(4)}@{self.domain}"
            made = api.post("/mailboxes", json={"email": address, "password": PASSWORD})
            assert made.status_code == 201, made.text
            path = f"/mailboxes/{made.json()['id']}"
            until(lambda: api.get(path).json()["provisioning"] == "ready", "the mailbox is ready")
        return address, path

    @contextmanager
    def programs(self, address: str) -> Iterator[list[Program]]:
        """One that does nothing and one that waits for news."""
        made: list[Program] = []
        try:
            for idle in (False, True):
                made.append(Program(self.world, address, idle=idle))
            yield made
        finally:
            for program in made:
                program.client.shutdown()

    def signs_in(self, address: str, password: str) -> bool:
        try:
            with self.world.imap(address, password):
                return True
        except imaplib.IMAP4.error:
            return False


@pytest.fixture(scope="module")
def office(world: World) -> Office:
    return Office(world)


def disable(api: httpx2.Client, path: str) -> httpx2.Response:
    return api.patch(path, json={"status": "disabled"})


def renew_password(api: httpx2.Client, path: str) -> httpx2.Response:
    return api.post(f"{path}/password", json={"password": FRESH})


def delete(api: httpx2.Client, path: str) -> httpx2.Response:
    return api.delete(path)


@pytest.mark.parametrize("change", [disable, renew_password, delete])
def test_open_sessions_end(office: Office, change) -> None:
    (address, path), (neighbour, _) = office.mailbox(), office.mailbox()
    with office.programs(address) as programs, office.programs(neighbour) as others, office.company.api as api:
        assert change(api, path).status_code in {200, 204}
        began = time.monotonic()
        for program in programs:
            assert program.hung_up_on(began + ENDS_WITHIN - time.monotonic()), f"idle={program.idle}"
        assert not office.signs_in(address, PASSWORD)
        assert office.signs_in(address, FRESH) is (change is renew_password)
        assert [other.is_answered() for other in others] == [True, True]


@pytest.mark.parametrize(("change", "code"), [(disable, 550), (renew_password, 450), (delete, 553)])
def test_an_open_submission_session_sends_no_more(office: Office, change, code: int) -> None:
    (address, path), (neighbour, _) = office.mailbox(), office.mailbox()

    def answered(client: smtplib.SMTP, sender: str) -> int:
        client.rset()
        client.mail(sender)
        return client.rcpt("target@outside.example")[0]

    with office.world.submission(address, PASSWORD) as mine, office.world.submission(neighbour, PASSWORD) as other:
        assert answered(mine, address) == 250
        with office.company.api as api:
            assert change(api, path).status_code in {200, 204}
        until(lambda: answered(mine, address) == code, f"it is told {code}", DOORS_KNOW_WITHIN)
        assert answered(other, neighbour) == 250
    if change is renew_password:
        with office.world.submission(address, FRESH) as client:
            assert answered(client, address) == 250


def test_other_changes_put_nobody_out(office: Office) -> None:
    address, path = office.mailbox()
    with office.programs(address) as programs, office.company.api as api:
        assert api.patch(path, json={"quota_mb": 77, "display_name": "Anna"}).status_code == 200
        until(lambda: api.get(path).json()["provisioning"] == "ready", "the engine has it")
        assert [program.is_answered() for program in programs] == [True, True]
