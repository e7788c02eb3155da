"""Postfix's policy service: every recipient and every message is asked about here.

Each of Postfix's services names itself by `policy_context` (mx, submission, jmap, sieve). The mailbox is
`sasl_username` on submission, `sasl_sender` on the ports Cyrus uses, and never `sender`: whatever a client typed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

import structlog

from deftmail.gate.database import AWAY, Busy, Threads, on_connection
from deftmail.gate.passwords import canonical
from deftmail.gate.policywire import Attributes, PolicyError, PolicyParser, encode_action
from deftmail.sending import decisions, facts
from deftmail.sending.decisions import Door, Verdict

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


class Decider:
    """From the attributes of one request to a verdict. What the next limits need (recipients by `instance`, charging at
    END-OF-MESSAGE by `queue_id`) has its place in `_sending`."""

    def __init__(self, readers: Threads, *, source: Facts = facts, poke: Callable[[str], object] | None = None) -> None:
        self._readers = readers
        self._facts = source
        self._poke = poke or facts.poke_checks
        self._poked: dict[str, float] = {}
        self._poking: set[asyncio.Task[None]] = set()

    async def decide(self, attributes: Attributes) -> Verdict:
        """The verdict; whatever goes wrong is `UNAVAILABLE` (450), never an open door and never a lost mail."""
        try:
            return await asyncio.wait_for(self._decide(attributes), DECIDE_WITHIN)
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
        account = canonical(_account(door, attributes))
        sender = await self._read(lambda: self._facts.sender(account)) if account else None
        envelope_from = attributes.get("sender", "")
        verdict = decisions.may_send(door, account, sender, canonical(envelope_from) if envelope_from else "")
        self._tell(door, attributes, verdict)
        return verdict

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
                    async with asyncio.timeout(WRITE_WITHIN):
                        await writer.drain()
                finally:
                    self._deciding -= 1
            if parser.is_between_requests:
                deadline = loop.time() + IDLE_AT_MOST
            elif was_between or requests:
                # A drop of one byte now and then must not keep a connection for ever: counted from the first byte.
                deadline = loop.time() + REQUEST_WITHIN
