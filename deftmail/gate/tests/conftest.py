"""A gate without a database: accounts in a table, everything else real."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from deftmail.gate import database, passwords
from deftmail.gate.database import Threads
from deftmail.gate.passwords import Memory, PasswordChecker
from deftmail.kit.passwords import verify_password
from deftmail.kit.testing import GOOD_PASSWORD, cheap_hash
from deftmail.mailboxes.selectors import system
from deftmail.mailboxes.selectors.system import Account


def account(email: str = "alice@acme.test", password: str = GOOD_PASSWORD, **values: Any) -> Account:
    """A ready, active account."""
    columns: dict[str, Any] = {
        "mailbox_id": uuid4(),
        "tenant_id": UUID(int=1),
        "email": email,
        "status": "active",
        "status_reason": "",
        "refuse_when_disabled": False,
        "is_ready": True,
        "tenant_status": "active",
        "domain": email.rpartition("@")[2],
        "domain_status": "active",
        "domain_is_ready": True,
        "dkim_selector": "default",
        "password_hash": cheap_hash(password),
    }
    return Account(**(columns | values))


class Table(dict[str, Account]):
    """Accounts by address; counts reads, hashes and recorded sign-ins; can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.hashes = 0
        self.signed_in: list[UUID] = []
        self.away: Exception | None = None

    def add(self, **values: Any) -> Account:
        made = account(**values)
        self[made.email] = made
        return made

    def read(self, address: str) -> Account | None:
        self.reads += 1
        if self.away is not None:
            raise self.away
        return self.get(address)


class Clock:
    """Monotonic seconds that stand until moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    """The accounts of this test, in the place of the database."""
    made = Table()
    real = verify_password

    def counted(password: str, hashed: str) -> bool:
        made.hashes += 1
        return real(password, hashed)

    def record(_tenant_id: UUID, mailbox_id: UUID) -> bool:
        made.signed_in.append(mailbox_id)
        return True

    monkeypatch.setattr(system, "account_by_address", made.read)
    monkeypatch.setattr(passwords, "verify_password", counted)
    monkeypatch.setattr(passwords, "record_sign_in", record)
    monkeypatch.setattr(passwords, "hash_password", cheap_hash)
    monkeypatch.setattr(database, "_renew", lambda error: None)
    return made


@pytest.fixture
def threads() -> Iterator[tuple[Threads, Threads]]:
    pair = Threads("test-read", 4, 100), Threads("test-hash", 2, 8)
    yield pair
    for each in pair:
        each.close()


@pytest.fixture
def checker(table: Table, threads: tuple[Threads, Threads], clock: Clock) -> PasswordChecker:
    return PasswordChecker(*threads, memory=Memory(clock=clock))
