"""What a conformance case needs beside the engine: fresh names, a way in for mail and one to read it, a clean end."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar
from uuid import UUID

from deftmail.engine.errors import EngineError
from deftmail.engine.port import DkimKeySpec, DomainSpec, MailboxSpec, MailEngine
from deftmail.engine.specimens import domain_spec, mailbox_spec

SUFFIX = "conformance.test"
THROTTLED = "4.4.5"  # a fresh Stalwart takes five messages a second from one address


class DeliveryRefused(Exception):
    """The engine did not take a message. `temporary`: a sender would try again."""

    def __init__(self, text: str, *, temporary: bool) -> None:
        super().__init__(text)
        self.temporary = temporary


class Skipped(Exception):
    """What a case needs was not given: it is neither passed nor failed."""


def message(subject: str, *, headers: Mapping[str, str] | None = None, size: int = 0) -> bytes:
    """A message from outside, at least `size` bytes long."""
    lines = [
        "From: Sender <sender@outside.test>",
        f"Subject: {subject}",
        "Date: Mon, 02 Nov 2026 10:00:00 +0000",
        f"Message-ID: <{secrets.token_hex(12)}@outside.test>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
        "",
        f"About {subject}.",
        *(["x" * 76] * (size // 78 + 1 if size else 0)),
        "",
    ]
    return "\r\n".join(lines).encode()


E = TypeVar("E", bound=Exception)


def refusal_of(kind: type[E], act: Callable[[], object], otherwise: str) -> E:
    """The error of `kind` that `act` must raise; where it raises none, the case fails with `otherwise`."""
    try:
        act()
    except kind as error:
        return error
    raise AssertionError(otherwise)


class World(ABC):
    """One engine's surroundings. Names are fresh for every case, and `clean` takes away what it made.

    suffix: what every domain name of this run ends with
    """

    def __init__(self, engine: MailEngine) -> None:
        self.engine = engine
        self.suffix = f"-{secrets.token_hex(4)}.{SUFFIX}"
        self.left: list[str] = []  # what could not be taken away, in words
        self._number = 0
        self._domains: list[str] = []

    def new_name(self, label: str = "d") -> str:
        """A domain name that nothing has used."""
        self._number += 1
        name = f"{label}{self._number}{self.suffix}"
        self._domains.append(name)
        return name

    def domain(self, name: str | None = None, *, id: UUID | None = None, dkim: DkimKeySpec | None = None) -> DomainSpec:
        """A domain that the engine holds."""
        spec = domain_spec(name or self.new_name(), id=id, dkim=dkim, active=True)
        self.engine.apply_domain(spec)
        return spec

    def mailbox(
        self, local: str = "alice", *, domain: str | None = None, id: UUID | None = None, quota_mb: int | None = 100
    ) -> MailboxSpec:
        """A mailbox that the engine holds, in a domain of its own unless one is named."""
        spec = mailbox_spec(f"{local}@{domain or self.domain().name}", id=id, quota_mb=quota_mb)
        self.engine.apply_mailbox(spec)
        return spec

    @contextmanager
    def cleaned(self) -> Iterator[None]:
        """Take away, after a case, whatever is left under the names it got."""
        try:
            yield
        finally:
            while self._domains:
                name = self._domains.pop()
                try:
                    self.clean(name)
                except EngineError as error:
                    self.left.append(f"{name}: {error}")

    def clean(self, name: str) -> None:
        """Take a domain and its mailboxes out of the engine, by the ids they were made for."""
        for box in self.engine.list_mailboxes(name):
            if box.id is not None:
                self.engine.remove_mailbox(box.address, box.id)
        for domain in self.engine.list_domains():
            if domain.name == name and domain.id is not None:
                self.engine.remove_domain(name, domain.id)

    @abstractmethod
    def deliver(self, address: str, content: bytes) -> None:
        """Bring a message from outside to a mailbox. Raises DeliveryRefused."""

    @abstractmethod
    def subjects(self, address: str) -> dict[str, list[str]]:
        """The mailbox as its person sees it: subjects by folder role; folders without a role by their name."""

    @abstractmethod
    def add_folder(self, address: str, name: str) -> None:
        """Make a folder as its person would."""

    @abstractmethod
    def reads_other(self, reader: str, owner: str) -> bool:
        """Can what `jmap_access(reader)` gives be used to read the mail of `owner`?"""

    def program(self, address: str, *, idle: bool) -> AbstractContextManager[Callable[[], bool]]:
        """A mail program signed in to a mailbox, which waits for news (`idle`) or not; says whether the server still
        answers it. Only where `capabilities.ends_sessions`."""
        raise NotImplementedError

    @abstractmethod
    def unreachable(self) -> MailEngine:
        """The same kind of engine, set to where nothing answers."""
