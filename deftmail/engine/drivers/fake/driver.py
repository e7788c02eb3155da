"""A mail engine in memory: the port's rules without servers, with faults on demand. For tests only."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from pydantic import SecretStr

from deftmail.engine.errors import EngineBusy, EngineError, EngineRefused, EngineUnavailable
from deftmail.engine.names import domain_of
from deftmail.engine.port import (
    AppPassword,
    Capabilities,
    DomainSpec,
    EngineHealth,
    FoundDomain,
    FoundKey,
    FoundMailbox,
    GroupSpec,
    JmapAccess,
    MailboxSpec,
    MailboxState,
    Usage,
)

ROLES = ("inbox", "drafts", "sent", "junk", "trash", "archive")
MIB = 1024 * 1024


@dataclass(slots=True)
class FakeMailbox:
    """A mailbox with its mail: the raw messages of each role folder."""

    spec: MailboxSpec
    folders: dict[str, list[bytes]] = field(default_factory=lambda: {role: [] for role in ROLES})
    app_passwords: dict[str, SecretStr] = field(default_factory=dict)
    sessions: set[object] = field(default_factory=set)

    @property
    def used(self) -> int:
        return sum(len(message) for messages in self.folders.values() for message in messages)


@dataclass(slots=True)
class FakeDomain:
    spec: DomainSpec


@dataclass(slots=True)
class _Fault:
    error: EngineError
    operation: str | None
    left: int | None


class FakeEngine:
    """Looks like an engine that does everything itself, so that the port is tested to its full width.

    `fail` injects errors, `slow` waits; `calls` is every call made, with its object.
    """

    name = "fake"

    def __init__(self) -> None:
        self.domains: dict[str, FakeDomain] = {}
        self.mailboxes: dict[str, FakeMailbox] = {}
        self.groups: dict[str, GroupSpec] = {}
        self.calls: list[tuple[str, str]] = []
        self._faults: list[_Fault] = []
        self._delay = 0.0
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)

    # faults

    def fail(self, error: EngineError, *, operation: str | None = None, times: int | None = None) -> None:
        """Raise `error` at the next `times` calls (None: until `heal`) of `operation` (None: any)."""
        self._faults.append(_Fault(error, operation, times))

    def slow(self, seconds: float) -> None:
        """Let every call take this long."""
        self._delay = seconds

    def heal(self) -> None:
        """No faults any more."""
        self._faults.clear()
        self._delay = 0.0

    @contextmanager
    def _enter(self, operation: str, about: str) -> Iterator[None]:
        if self._delay:
            time.sleep(self._delay)
        with self._lock:
            self.calls.append((operation, about))
            for fault in self._faults:
                if fault.operation in {None, operation} and fault.left != 0:
                    if fault.left is not None:
                        fault.left -= 1
                    raise fault.error
            yield

    # the port

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            enforces_state=True,
            keeps_passwords=True,
            app_passwords=True,
            routes=True,
            keeps_display_name=True,
            mailbox_tokens=True,
            ends_sessions=True,
            max_batch=100,
        )

    def apply_domain(self, spec: DomainSpec) -> None:
        with self._enter("apply_domain", spec.name):
            self.domains[spec.name] = FakeDomain(spec)

    def remove_domain(self, name: str, domain_id: UUID) -> None:
        with self._enter("remove_domain", name):
            found = self.domains.get(name)
            if found is None or found.spec.id != domain_id:
                return
            if any(domain_of(address) == name for address in self.mailboxes):
                raise EngineBusy(f"{name} still has mailboxes")
            del self.domains[name]

    def apply_mailbox(self, spec: MailboxSpec) -> None:
        with self._enter("apply_mailbox", spec.address):
            self._apply(spec)

    def _apply(self, spec: MailboxSpec) -> None:
        if domain_of(spec.address) not in self.domains:
            raise EngineRefused(f"no domain for {spec.address}")
        found = self.mailboxes.get(spec.address)
        if found is None or found.spec.id != spec.id:
            self.mailboxes[spec.address] = FakeMailbox(spec)
        else:
            if spec.state is MailboxState.DISABLED or spec.password_hash != found.spec.password_hash:
                found.sessions.clear()
            found.spec = spec

    def apply_mailboxes(self, specs: Sequence[MailboxSpec]) -> Mapping[UUID, EngineError | None]:
        outcomes: dict[UUID, EngineError | None] = {}
        with self._enter("apply_mailboxes", f"{len(specs)} mailboxes"):
            for spec in specs:
                try:
                    self._apply(spec)
                except EngineError as error:
                    outcomes[spec.id] = error
                else:
                    outcomes[spec.id] = None
        return outcomes

    def remove_mailbox(self, address: str, mailbox_id: UUID) -> None:
        with self._enter("remove_mailbox", address):
            found = self.mailboxes.get(address)
            if found is not None and found.spec.id == mailbox_id:
                del self.mailboxes[address]
                found.sessions.clear()

    def apply_group(self, spec: GroupSpec) -> None:
        with self._enter("apply_group", spec.address):
            self.groups[spec.address] = spec

    def remove_group(self, address: str, group_id: UUID) -> None:
        with self._enter("remove_group", address):
            found = self.groups.get(address)
            if found is not None and found.id == group_id:
                del self.groups[address]

    def usage(self, addresses: Sequence[str]) -> Mapping[str, Usage]:
        with self._enter("usage", f"{len(addresses)} mailboxes"):
            return {
                address: Usage(box.used, None if box.spec.quota_mb is None else box.spec.quota_mb * MIB)
                for address in addresses
                if (box := self.mailboxes.get(address)) is not None
            }

    def list_domains(self) -> list[FoundDomain]:
        with self._enter("list_domains", "*"):
            return [self._found(domain.spec) for _, domain in sorted(self.domains.items())]

    @staticmethod
    def _found(spec: DomainSpec) -> FoundDomain:
        keys = [*([spec.dkim] if spec.dkim else []), *spec.retiring]
        found = tuple(FoundKey(key.selector, key.fingerprint) for key in keys)
        return FoundDomain(spec.name, spec.id, found[0] if spec.dkim else None, found)

    def list_mailboxes(self, domain: str) -> list[FoundMailbox]:
        with self._enter("list_mailboxes", domain):
            return [
                FoundMailbox(address, box.spec.id, box.spec.quota_mb, box.used, box.spec.display_name, box.spec.state)
                for address, box in sorted(self.mailboxes.items())
                if domain_of(address) == domain
            ]

    def jmap_access(self, address: str) -> JmapAccess:
        with self._enter("jmap_access", address):
            return JmapAccess("http://fake.invalid/jmap/", {}, username=address, engine=self.name)

    def issue_app_password(self, address: str, mailbox_id: UUID, label: str) -> AppPassword:
        with self._enter("issue_app_password", address):
            box = self.mailboxes.get(address)
            if box is None or box.spec.id != mailbox_id:
                raise EngineRefused(f"no mailbox {address}")
            made = AppPassword(str(next(self._numbers)), SecretStr(secrets.token_urlsafe(16)))
            box.app_passwords[made.id] = made.secret
            return made

    def revoke_app_password(self, address: str, mailbox_id: UUID, app_password_id: str) -> None:
        with self._enter("revoke_app_password", address):
            box = self.mailboxes.get(address)
            if box is not None and box.spec.id == mailbox_id:
                box.app_passwords.pop(app_password_id, None)

    def health(self) -> EngineHealth:
        try:
            with self._enter("health", "*"):
                return EngineHealth("fake", "1", {"memory": ""})
        except EngineUnavailable as error:
            return EngineHealth("fake", "1", {"memory": str(error)})

    def close(self) -> None:
        return

    # mail, for tests

    def deliver(self, address: str, message: bytes) -> None:
        """Put a message where the engine's filing would. Raises EngineBusy when the mailbox is full (a sender would
        try again) and EngineRefused when there is none."""
        with self._lock:
            box = self.mailboxes.get(address)
            if box is None:
                raise EngineRefused(f"no mailbox {address}")
            limit = box.spec.quota_mb
            if limit is not None and box.used + len(message) > limit * MIB:
                raise EngineBusy("over quota")
            head = message.partition(b"\r\n\r\n")[0].lower()
            box.folders["junk" if b"\r\nx-spam: yes" in b"\r\n" + head else "inbox"].append(message)

    def may_send(self, address: str) -> bool:
        """Would the engine take a message from this mailbox?"""
        with self._lock:
            box = self.mailboxes.get(address)
            domain = self.domains.get(domain_of(address))
            return (
                box is not None
                and box.spec.state is MailboxState.ACTIVE
                and domain is not None
                and domain.spec.enabled
                and domain.spec.active
            )
