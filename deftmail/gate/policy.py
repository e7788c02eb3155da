"""Postfix's policy service: every recipient and every message is asked about here.

Each of Postfix's services names itself by `policy_context` (mx, submission, jmap, sieve). The mailbox is
`sasl_username` on submission, `sasl_sender` on the ports Cyrus uses, and never `sender`: whatever a client typed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import structlog

from deftmail.gate.database import AWAY, Busy, Threads, on_connection
from deftmail.gate.freshness import Fresh
from deftmail.gate.passwords import canonical
from deftmail.gate.policywire import Attributes, PolicyError, PolicyParser, encode_action
from deftmail.gate.recipients import Recipients
from deftmail.gate.signedin import SignedIn
from deftmail.sending import decisions, facts
from deftmail.sending.decisions import Door, Verdict
from deftmail.sending.limits import Subject, chargeable

_T = TypeVar("_T")
log = structlog.get_logger(__name__)

CONNECTIONS_AT_MOST = 1000
"""Postfix keeps one per smtpd process and service (default_process_limit 100); beyond this nobody is Postfix."""
REQUEST_WITHIN = 10.0
"""Seconds from the first byte of a request to its last."""
IDLE_AT_MOST = 1100.0
"""Seconds a connection may wait for its next request: over Postfix's smtpd_policy_service_max_ttl (1000 s)."""
DECIDE_WITHIN = 8.0
"""Seconds for a decision; then Postfix hears 450 and nothing is lost."""
WRITE_WITHIN = 10.0
POKE_EVERY = 15.0
"""Seconds between two looks started for one domain from this process; the domain's own bound is longer."""
POKED_AT_MOST = 10_000

# Postfix asks at these; a restriction list may also stand at others, where nothing is decided (smtpd_delay_reject).
_SENDING_STATES = frozenset({"MAIL", "RCPT", "DATA", "END-OF-MESSAGE"})

DUNNO = "DUNNO"
"""Allowed as far as we are concerned: Postfix goes on with its own restrictions. `OK` would skip them."""

ACCOUNT_HEADER = "X-DeftMail-Account"
"""What Sieve sends names no mailbox that the signer could see: the envelope sender is empty or a stranger's, and From
is what a script says. So the gate writes the mailbox on top of the letter; the signer takes that header off again."""


class Facts(Protocol):
    """Where decisions get what they decide on; called in threads."""

    def sender(self, account: str) -> decisions.Sender | None: ...

    def recipient(self, address: str) -> decisions.Recipient: ...


class Limits(Protocol):
    """Who counts (`gate.limiter`); raises RedisError while it cannot."""

    async def look(self, subject: Subject, recipients: Sequence[str], unnamed: int = 0) -> Verdict: ...

    async def charge(
        self, subject: Subject, recipients: Sequence[str], queue_id: str, *, unnamed: int = 0, followed: bool = True
    ) -> Verdict: ...


class Decider:
    """From the attributes of one request to a verdict.

    A message is collected at RCPT, looked at at DATA so that no body travels in vain, and charged at END-OF-MESSAGE,
    once. `charged` hears of each so that it can be given back.
    """

    def __init__(
        self,
        readers: Threads,
        limits: Limits,
        *,
        source: Facts = facts,
        poke: Callable[[str], object] | None = None,
        charged: Callable[[str], object] | None = None,
        signed_in: SignedIn | None = None,
    ) -> None:
        self._readers = readers
        self._limits = limits
        self._charged = charged or (lambda _queue_id: None)
        self._signed_in = signed_in or SignedIn()
        self._senders = Fresh(self._read_sender)
        self._recipients = Recipients()
        self._facts = source
        self._poke = poke or facts.poke_checks
        self._poked: dict[str, float] = {}
        self._poking: set[asyncio.Task[None]] = set()

    async def decide(self, attributes: Attributes) -> Verdict:
        """The verdict; whatever goes wrong is `UNAVAILABLE` (450), never an open door and never a lost mail."""
        try:
            async with asyncio.timeout(DECIDE_WITHIN):  # not wait_for: that makes a task of each
                return await self._decide(attributes)
        except (Busy, TimeoutError, *AWAY) as error:
            log.error("policy_unavailable", error=type(error).__name__)
        except Exception:
            log.exception("policy_fault")
        return decisions.UNAVAILABLE

    async def _decide(self, attributes: Attributes) -> Verdict:
        context, state = attributes.get("policy_context", ""), attributes.get("protocol_state", "")
        if context == Door.MX:
            return await self._receiving(attributes) if state == "RCPT" else decisions.OK
        if context in (Door.SUBMISSION, Door.JMAP, Door.SIEVE):
            return await self._sending(Door(context), attributes) if state in _SENDING_STATES else decisions.OK
        log.error("policy_context_unknown", context=context[:40])
        return decisions.UNAVAILABLE

    async def _receiving(self, attributes: Attributes) -> Verdict:
        address = canonical(attributes.get("recipient", ""))
        recipient = await self._read(lambda: self._facts.recipient(address))
        verdict = decisions.may_receive(recipient)
        if verdict.reason == "domain-not-active":
            self._start_look(recipient.domain)
        self._tell(Door.MX, attributes, verdict)
        return verdict

    async def _sending(self, door: Door, attributes: Attributes) -> Verdict:
        state = attributes["protocol_state"]
        if state == "RCPT":
            self._recipients.hear(attributes.get("instance", ""), canonical(attributes.get("recipient", "")))
            if door is Door.JMAP:
                # Cyrus reports the reply to the *last* recipient: refused here, the sentence would be lost with
                # several. Nothing gets past DATA, where the same is asked again.
                return decisions.OK
        account = canonical(_account(door, attributes))
        sender = await self._senders.get(account) if account else None
        envelope_from = attributes.get("sender", "")
        if door is Door.SUBMISSION and self._has_old_password(attributes, sender):
            sender = await self._read_sender(account)  # what is kept may be older than the sign-in
            if self._has_old_password(attributes, sender):
                self._tell(door, attributes, decisions.SIGN_IN_AGAIN)
                return decisions.SIGN_IN_AGAIN
        verdict = decisions.may_send(door, account, sender, canonical(envelope_from) if envelope_from else "")
        if verdict.allowed and sender is not None and state in ("DATA", "END-OF-MESSAGE"):
            verdict = await self._within_limits(sender, attributes)
        self._tell(door, attributes, verdict)
        return verdict

    async def _within_limits(self, sender: decisions.Sender, attributes: Attributes) -> Verdict:
        subject, instance = sender.subject, attributes.get("instance", "")
        if subject is None:
            return decisions.UNAVAILABLE  # no door opens because nobody knows whom to charge
        count = _number(attributes.get("recipient_count", ""))
        only = attributes.get("recipient", "")
        known, unnamed = self._recipients.of(instance, canonical(only) if only else "", count)
        outside = chargeable(known, subject.own_domains)
        if count and len(outside) > count:  # Postfix refused some itself after it had asked here
            outside = outside[:count]
        if attributes["protocol_state"] == "DATA":
            return await self._limits.look(subject, outside, unnamed)
        queue_id = attributes.get("queue_id", "")
        if not queue_id:
            return decisions.UNAVAILABLE
        followed = not is_simulated(queue_id)
        charged = followed and bool(outside or unnamed)
        try:
            verdict = await self._limits.charge(subject, outside, queue_id, unnamed=unnamed, followed=followed)
            charged = charged and verdict.allowed
        finally:
            if charged:  # also when the answer was lost: it may have been
                self._charged(queue_id)
        self._recipients.forget(instance)
        return verdict

    def _has_old_password(self, attributes: Attributes, sender: decisions.Sender | None) -> bool:
        instance = attributes.get("instance", "")
        return sender is not None and self._signed_in.is_outdated(instance, sender.email, sender.password_hash)

    def _read_sender(self, account: str) -> Awaitable[decisions.Sender | None]:
        return self._read(lambda: self._facts.sender(account))

    async def _read(self, read: Callable[[], _T]) -> _T:
        return await self._readers.run(on_connection, read)

    def _start_look(self, domain: str) -> None:
        """Mail is waiting for a domain that is not active yet: look at its records now, in the background."""
        now = time.monotonic()
        if now - self._poked.get(domain, -POKE_EVERY) < POKE_EVERY:
            return
        if len(self._poked) >= POKED_AT_MOST:
            self._poked.clear()
        self._poked[domain] = now
        task = asyncio.get_running_loop().create_task(self._look(domain))
        self._poking.add(task)
        task.add_done_callback(self._poking.discard)

    async def _look(self, domain: str) -> None:
        try:
            await self._readers.run(on_connection, lambda: self._poke(domain))
        except Exception as error:
            log.warning("look_not_started", domain=domain, error=type(error).__name__)

    def _tell(self, door: Door, attributes: Attributes, verdict: Verdict) -> None:
        if not verdict.allowed:
            log.info(
                "policy_refused",
                door=door,
                reason=verdict.reason,
                code=verdict.code,
                account=_account(door, attributes)[:320],
                state=attributes.get("protocol_state", ""),
                instance=attributes.get("instance", ""),
                queue_id=attributes.get("queue_id", ""),
            )


SIMULATED = "sim-"
"""How queue ids of `deftmail sending simulate` begin; Postfix's own hold letters and digits only."""


def is_simulated(queue_id: str) -> bool:
    """Whether nothing will arrive in the queue, and the charge stays all the same."""
    return queue_id.startswith(SIMULATED)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _allowed(attributes: Attributes) -> str:
    """How Postfix is told to go on. DATA comes once a message, and after it no header can be put on top."""
    if attributes.get("policy_context") == Door.SIEVE and attributes.get("protocol_state") == "DATA":
        return f"PREPEND {ACCOUNT_HEADER}: {canonical(_account(Door.SIEVE, attributes))}"
    return DUNNO


def _account(door: Door, attributes: Attributes) -> str:
    """Who is signed in. On Cyrus' ports it is what Cyrus says after AUTH= (xtext, RFC 4954 §5; `<>` is nobody)."""
    if door is Door.SUBMISSION:
        return attributes.get("sasl_username", "")
    said = attributes.get("sasl_sender", "")
    return "" if said == "<>" else _from_xtext(said)


def _from_xtext(text: str) -> str:
    """Undo RFC 3461 §4 xtext (`+2B` is a plus sign)."""
    head, *rest = text.split("+")
    out = [head]
    for piece in rest:
        try:
            out.append(chr(int(piece[:2], 16)) + piece[2:])
        except ValueError:
            out.append("+" + piece)
    return "".join(out)


class PolicyServer:
    """Connections of Postfix: many requests each, one after another."""

    def __init__(self, decider: Decider) -> None:
        self._decider = decider
        self._open = 0
        self._deciding = 0

    @property
    def open_now(self) -> int:
        """Connections at this moment; most are idle."""
        return self._open

    @property
    def deciding_now(self) -> int:
        """Requests that wait for their answer."""
        return self._deciding

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection to its end; garbage, slowness and surplus end it without an answer."""
        if self._open >= CONNECTIONS_AT_MOST:
            log.warning("policy_connections_full", open=self._open)
            writer.close()
            return
        self._open += 1
        try:
            await self._answer_all(reader, writer)
        except PolicyError as error:
            log.warning("policy_garbage", error=str(error))
        except (TimeoutError, ConnectionError):
            pass  # idle for too long, half a request, or Postfix went away
        except Exception:
            log.exception("policy_connection_fault")
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(ConnectionError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), WRITE_WITHIN)

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser = PolicyParser()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + IDLE_AT_MOST
        while True:
            async with asyncio.timeout_at(deadline):
                data = await reader.read(4096)
            if not data:
                return
            was_between = parser.is_between_requests
            requests = parser.feed(data)
            for attributes in requests:
                self._deciding += 1
                try:
                    verdict = await self._decider.decide(attributes)
                    writer.write(encode_action(verdict.reply or _allowed(attributes)))
                    if writer.transport.get_write_buffer_size():  # it did not take all at once
                        async with asyncio.timeout(WRITE_WITHIN):
                            await writer.drain()
                finally:
                    self._deciding -= 1
            if parser.is_between_requests:
                deadline = loop.time() + IDLE_AT_MOST
            elif was_between or requests:
                # A drop of one byte now and then must not keep a connection for ever: counted from the first byte.
                deadline = loop.time() + REQUEST_WITHIN
