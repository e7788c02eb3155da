"""May this login in? The one answer for IMAP and submission, in the order that costs an attacker most and us least.

Row read → remembered success (5 minutes) → failures of the account and of the client's address → bcrypt → state of the
mailbox. An address that does not exist goes the same way with a made-up hash, so that neither the answer nor its time
tells who exists. A guess that meets a remembered password is let in whatever the failures say; so above a thousand
tries an hour at one account, what is remembered counts only for the network from which it was right.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import structlog

from deftmail.gate.database import Busy, Threads, on_connection
from deftmail.gate.saslwire import Question
from deftmail.gate.signedin import SignedIn
from deftmail.kit import ratelimit
from deftmail.kit.passwords import hash_password, verify_password
from deftmail.mailboxes.actions import record_sign_in
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.selectors import system
from deftmail.mailproto.addresses import parse_address
from deftmail.mailproto.errors import AddressError

log = structlog.get_logger(__name__)

SERVICES = frozenset({"imap", "smtp"})
"""Who may ask: Cyrus' IMAP and Postfix. ManageSieve (`sieve`) is refused on purpose: a mailbox has one script, ours,
and a script of its own could borrow another company's DKIM signature. JMAP comes with a token, never a password."""

REMEMBER = 300.0
"""Seconds a success spares the hash."""
KNOWN = 24 * 3600.0
"""Seconds a password that was right skips the *limits on failures* (not the hash), so that strangers who guess at an
account, or a neighbour behind the same address, cannot lock out the mail programs of its owner."""
REMEMBERED_AT_MOST = 50_000
WAITING_PER_ACCOUNT = 16
"""Questions for one account that may wait for each other; a mail program opens up to a dozen connections."""


Origin = Callable[[int], Awaitable[str | None]]
"""The address of the client that this process of a server serves at this moment; None when nobody can tell."""


class NotReady(Busy):
    """Not in the engine yet: no answer, so that mail programs try again in a moment."""


class Outcome(StrEnum):
    """How a question ended; also the word in the log."""

    RIGHT = "right"
    WRONG = "wrong"
    LIMITED = "limited"
    DISABLED = "disabled"
    REFUSED_SERVICE = "refused-service"


@dataclass
class Memory:
    """Passwords that were right, by keyed hash: nothing in it can be turned back, and it dies with the process.

    The key covers address, present `password_hash` and password: a changed password (or a re-made mailbox) misses by
    itself. State is not in the key but read from the row each time.
    """

    clock: Callable[[], float] = time.monotonic
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    _times: OrderedDict[bytes, float] = field(default_factory=OrderedDict, repr=False)

    def name(self, address: str, password_hash: str, password: str, network: str = "") -> bytes:
        """The entry's name for these; "" is any network."""
        text = "\0".join((address, password_hash, password, network))
        return hmac.new(self._key, text.encode(), hashlib.sha256).digest()

    def age(self, name: bytes) -> float:
        """Seconds since this was right; infinite when it never was."""
        at = self._times.get(name)
        return float("inf") if at is None else self.clock() - at

    def put(self, name: bytes) -> None:
        """It was right just now."""
        self._times[name] = self.clock()
        self._times.move_to_end(name)
        while len(self._times) > REMEMBERED_AT_MOST:
            self._times.popitem(last=False)


class _Turns:
    """One uncached question per account at a time, so that a burst of wrong passwords cannot outrun the limit."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @contextlib.asynccontextmanager
    async def of(self, address: str) -> AsyncIterator[None]:
        lock, users = self._locks.get(address, (asyncio.Lock(), 0))
        if users > WAITING_PER_ACCOUNT:
            raise Busy
        self._locks[address] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[address]
            if users == 1:
                del self._locks[address]
            else:
                self._locks[address] = lock, users - 1


class PasswordChecker:
    """Answers questions. `check` raises Busy (also NotReady) or a database error where there is no answer: then nobody
    is told "no"."""

    def __init__(
        self,
        readers: Threads,
        hashers: Threads,
        *,
        memory: Memory | None = None,
        signed_in: SignedIn | None = None,
        clients: Mapping[str, Origin] | None = None,
    ) -> None:
        """`clients` has, by service, who knows whom its processes serve."""
        self._readers = readers
        self._hashers = hashers
        self.memory = memory or Memory()
        self._signed_in = signed_in or SignedIn()
        self._clients = clients or {}
        self._turns = _Turns()
        self._guesses = ratelimit.LocalBuckets(REMEMBERED_AT_MOST)
        # A real hash of a password nobody has, at the real cost, made once.
        self._nobody = hash_password(secrets.token_urlsafe(32))
        self._recording: set[asyncio.Task[None]] = set()

    async def check(self, question: Question, caller: int = 0) -> Outcome:
        """Decide one question, asked by the process `caller`."""
        address = canonical(question.address)
        if question.service not in SERVICES:
            outcome = Outcome.REFUSED_SERVICE
            log.info("sign_in", outcome=outcome, service=question.service[:20], account=address)
            return outcome
        account = await self._read(address)
        # Counted before it is known whether it was right, and given back then: many at once cannot outrun it.
        counted = self._count_guess(address)
        name = self.memory.name(address, account.password_hash if account else "", question.password)
        if account is not None and counted and self.memory.age(name) < REMEMBER:
            outcome = self._admit(account, question, caller, cached=True)
        else:
            async with self._turns.of(address):
                outcome = await self._check_slowly(address, question, caller, everywhere=counted)
        if counted and outcome is Outcome.RIGHT:
            self._count_guess(address, -1)
        return outcome

    def _count_guess(self, address: str, cost: int = 1) -> bool:
        return self._guesses.hit([(address, ratelimit.LIMITS["account_guesses"])], cost).allowed

    async def _check_slowly(self, address: str, question: Question, caller: int, *, everywhere: bool) -> Outcome:
        """everywhere: what is remembered counts from whatever network it was right."""
        account = await self._read(address)  # anew: the wait may have been long, and a neighbour may have proved it
        hashed = account.password_hash if account else self._nobody
        origin = self._clients.get(question.service)
        client = await origin(caller) if origin is not None else None
        networks = ["", *([ratelimit.address_key(client)] if client else [])]
        names = [self.memory.name(address, hashed, question.password, network) for network in networks]
        counting = names if everywhere else names[1:]
        age = min([self.memory.age(name) for name in counting if account is not None], default=float("inf"))
        if account is not None and age < REMEMBER:
            return self._admit(account, question, caller, cached=True)
        if age > KNOWN:
            outcome = await self._try(question.password, hashed, address, client)
        else:
            right = await self._hashers.run(verify_password, question.password, hashed)
            outcome = Outcome.RIGHT if right else Outcome.WRONG
        if outcome is Outcome.RIGHT:
            # And once more: the hash and the wait for it may take seconds, and who is let in after his mailbox was
            # disabled or got another password is not put out again.
            account = await self._read(address)
            if account is not None and account.password_hash == hashed:
                for name in names:
                    self.memory.put(name)
                return self._admit(account, question, caller, cached=False)
            outcome = Outcome.WRONG
        log.info("sign_in", outcome=outcome, service=question.service, account=address)
        return outcome

    async def _try(self, password: str, hashed: str, address: str, client: str | None) -> Outcome:
        """Under the limits on failures of the account and of the client's address."""

        def is_limited() -> bool:
            return not ratelimit.wrong_passwords(address, client, cost=0).allowed

        def verify() -> Outcome:
            # Asked again after the wait for this thread, and charged before it takes the next: however many accounts
            # are tried at once from one address, only as many as there are threads can outrun its limit.
            if is_limited():
                return Outcome.LIMITED
            if verify_password(password, hashed):
                return Outcome.RIGHT
            ratelimit.wrong_passwords(address, client)
            return Outcome.WRONG

        # Before the queue too: who is over his limit takes no place in it.
        return Outcome.LIMITED if await self._readers.run(is_limited) else await self._hashers.run(verify)

    def _admit(self, account: system.Account, question: Question, caller: int, *, cached: bool) -> Outcome:
        """The password is right: does the mailbox's state let him in? Suspended ones read and receive; their sending
        is refused with a reason where the message is offered."""
        if account.status == MailUser.Status.DISABLED:
            log.info("sign_in", outcome=Outcome.DISABLED, service=question.service, account=account.email)
            return Outcome.DISABLED
        if not account.is_ready:
            # Under this address the engine may still hold the mail of an earlier mailbox (an outage while it was
            # deleted and made again): it is erased before this one counts as ready.
            raise NotReady
        if question.service == "smtp":
            self._signed_in.note(caller, account.email, account.password_hash)
        if not cached:
            log.info("sign_in", outcome=Outcome.RIGHT, service=question.service, account=account.email)
        task = asyncio.get_running_loop().create_task(self._record(account))
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)
        return Outcome.RIGHT

    async def _read(self, address: str) -> system.Account | None:
        return await self._readers.run(on_connection, lambda: system.account_by_address(address))

    async def _record(self, account: system.Account) -> None:
        """Note the sign-in, at most once a minute. A failure costs a time on a page, never a sign-in."""
        if account.signed_in_within(60):
            return
        try:
            await self._readers.run(on_connection, lambda: record_sign_in(account.tenant_id, account.mailbox_id))
        except Exception as error:
            log.warning("sign_in_not_recorded", error=type(error).__name__)

    async def settle(self) -> None:
        """Wait for sign-ins that are being written down (shutdown, tests)."""
        if self._recording:
            await asyncio.wait(self._recording, timeout=2)


@functools.lru_cache(maxsize=1024)  # a mailbox that sends is named several times a message
def canonical(text: str) -> str:
    """A login as `mail_users.email` writes it: lower case, domain in A-labels; text that is no address is kept as it
    is (cut), finds nobody and is counted like any other."""
    try:
        return parse_address(text).ascii.lower()
    except AddressError:
        return text[:320]
