"""Taking servers of a stack away, whole or frozen, and giving them back; and who lives there meanwhile."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import smtplib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx2
import psycopg

from deftmail.stack import catalogue, probes, processes
from deftmail.stack.errors import NotAnsweringError
from deftmail.stack.service import Service
from deftmail.stack.services.postgres import superuser_url
from deftmail.stack.site import DATABASE, Site
from tests.world import Company, World, letter

PASSWORD = "plum orbit ledger quay"
BOUND = 6.0  # seconds after which a page has answered, whatever is away
AT_ONCE = 1.0  # seconds for a page that knows already that it must wait for nobody
BACK_WITHIN = 30.0  # seconds in which the supervisor brings a killed server back


@dataclass(frozen=True)
class Outages:
    """The services of one stack that belongs to the caller alone."""

    var: Path

    def pid(self, name: str) -> int:
        """The leader of a service (`supervisor` too) at this moment."""
        found = processes.PidFile(self.var / "run" / f"{name}.pid").owned()
        assert found is not None, f"{name} does not run"
        return found.pid

    def everyone(self, name: str) -> list[int]:
        """The leader and all it started; PostgreSQL's backends lead sessions of their own, so the tree is walked."""
        children: dict[int, list[int]] = {}
        for found in processes.every():
            children.setdefault(found.parent, []).append(found.pid)
        tree = [self.pid(name)]
        for pid in tree:
            tree += children.get(pid, [])
        return tree

    @contextlib.contextmanager
    def away(self, *names: str) -> Iterator[None]:
        """Killed, connections refused; afterwards the supervisor starts them again and they answer.

        The supervisor sleeps meanwhile, or it would bring them back at once.
        """
        supervisor = self.pid("supervisor")
        os.kill(supervisor, signal.SIGSTOP)
        try:
            for name in names:
                processes.send(self.everyone(name), signal.SIGKILL)
            yield
        finally:
            os.kill(supervisor, signal.SIGCONT)
            self.wait_back(*names)

    @contextlib.contextmanager
    def frozen(self, *names: str) -> Iterator[None]:
        """Stopped in mid-air: connections open, and nobody ever says a word."""
        pids = [pid for name in names for pid in self.everyone(name)]
        processes.send(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            processes.send(pids, signal.SIGCONT)
            self.wait_back(*names)

    def kill(self, name: str) -> int:
        """kill -9 with the supervisor awake; returns the pid that was."""
        pid = self.pid(name)
        processes.send(self.everyone(name), signal.SIGKILL)
        return pid

    def wait_new(self, name: str, old: int) -> None:
        """Until the supervisor has started it anew and it answers."""
        deadline = time.monotonic() + BACK_WITHIN
        while True:
            found = processes.PidFile(self.var / "run" / f"{name}.pid").owned()
            if found is not None and found.pid != old:
                break
            assert time.monotonic() < deadline, f"{name} is not started again"
            time.sleep(0.05)
        self.wait_back(name)

    def wait_back(self, *names: str) -> None:
        """Until these services answer their own protocol."""
        deadline = time.monotonic() + BACK_WITHIN
        for service in catalogue.services(Site.load(self.var), names):
            while (trouble := self._trouble(service)) is not None:
                assert time.monotonic() < deadline, f"{service.name} is not back: {trouble}"
                time.sleep(0.05)

    def _trouble(self, service: Service) -> str | None:
        if processes.PidFile(self.var / "run" / f"{service.name}.pid").owned() is None:
            return "not started yet"
        try:
            service.probe()
        except NotAnsweringError as error:
            return str(error)
        return None


class Person(httpx2.Client):
    """A browser signed in on the sign-in page."""

    def __init__(self, base: str, email: str) -> None:
        super().__init__(base_url=base, timeout=30)
        self.headers["Origin"] = base
        answer = self.send_form("/signin", login=email, password=PASSWORD)
        assert answer.status_code == 302, answer.text[-500:]

    def send_form(self, url: str, to: str = "", **fields: Any) -> httpx2.Response:
        """POST to `to` (default the page's own address) with the token of the page at `url`."""
        token = self.cookies.get("dm_csrf") or ""
        if not token:
            found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get(url).text)
            assert found, url
            token = found[1]
        return self.post(to or url, data={"csrfmiddlewaretoken": token, **fields})


@dataclass
class Town:
    """A company with an active domain, its people, and the promises that were made to them."""

    world: World
    outages: Outages
    company: Company
    domain: str
    domain_id: str
    owner: Person
    anna: Person
    accepted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    mailboxes: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"anna@{self.domain}"

    def arrive(self) -> int:
        """A message from outside to anna; the reply's code, and whether it was taken is written down."""
        return self._offer("x@outside.example", self.world.outside())

    def submit(self) -> int:
        """Anna writes to herself with a mail program."""
        return self._offer(self.address, self.world.submission(self.address, PASSWORD))

    def _offer(self, sender: str, door: contextlib.AbstractContextManager[smtplib.SMTP]) -> int:
        subject = f"outage {secrets.token_hex(6)}"
        try:
            with door as server:
                server.sendmail(sender, [self.address], letter(sender, self.address, subject).as_bytes())
        except smtplib.SMTPRecipientsRefused as error:
            code = error.recipients[self.address][0]
        except smtplib.SMTPResponseException as error:
            code = error.smtp_code
        else:
            self.accepted.append(subject)
            return 250
        self.refused.append(subject)
        return int(code)

    def imap_says(self, password: str = PASSWORD) -> str:
        """`in`, or why not."""
        try:
            with self.world.imap(self.address, password):
                return "in"
        except Exception as error:
            return str(error)

    @cached_property
    def wrong(self) -> str:
        """What a wrong password is told. Cyrus pauses after each."""
        return self.imap_says("not the password")

    def make_mailbox(self) -> str:
        """By the API; its id."""
        with self.company.api as api:
            email = f"m{secrets.token_hex(4)}@{self.domain}"
            made = api.post("/mailboxes", json={"email": email, "password": PASSWORD})
            assert made.status_code == 201, made.text
        self.mailboxes.append(made.json()["id"])
        return self.mailboxes[-1]

    def state(self, mailbox: str) -> str:
        with self.company.api as api:
            return str(api.get(f"/mailboxes/{mailbox}").json()["provisioning"])

    def get_api(self, path: str = "/domains") -> httpx2.Response:
        with self.company.api as api:
            return api.get(path)

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """As the cluster's superuser: what is really in the tables."""
        with self.database() as connection:
            return connection.execute(query, values).fetchall()

    def database(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(superuser_url(Site.load(self.outages.var), DATABASE))

    def wrong_passwords(self) -> bytes:
        """How many accounts have wrong passwords counted, as Redis says it."""
        site = Site.load(self.outages.var)
        script = "return #redis.call('KEYS', 'rl:account_failures:*')"
        return probes.redis_command(site.port("redis"), site.secrets.redis, "EVAL", script, "0")


def at_once(*asked: Callable[[], Any]) -> list[Any]:
    """Ask all of them together; their answers in order. What takes time during an outage is waiting."""
    with ThreadPoolExecutor(len(asked)) as pool:
        return [future.result() for future in [pool.submit(one) for one in asked]]


def timed(ask: Callable[[], httpx2.Response]) -> httpx2.Response:
    """The answer, within the bound."""
    started = time.monotonic()
    answer = ask()
    assert time.monotonic() - started < BOUND, answer.url
    return answer
