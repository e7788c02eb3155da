"""The gate's way to the script of sending: asyncio, one connection, many decisions in one round trip.

What waits while one round trip is under way goes with the next, so that under load a decision costs its share of one
and, alone, none waits. Calls are idempotent by queue id: one whose answer was lost is simply asked again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, cast

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from deftmail.kit.conf import conf
from deftmail.sending import counters, facts, script
from deftmail.sending.limits import ALLOWED, Decision, Subject

log = structlog.get_logger(__name__)

BATCH = 100
WAITING_AT_MOST = 2000
"""Calls that may wait for Redis; twice the connections Postfix may have."""
REPLAYED = 10.0
"""Seconds of own charges that are repeated to a Redis that came back: longer than its file and the mirror lag."""
REPLAYED_AT_MOST = 20_000
NO_LONGER_NEEDED = 120
"""Seconds the record of a charge is kept once its message has arrived: as long as it might be repeated."""

_SCRIPTS = {"charge": script.CHARGE, "give_back": script.GIVE_BACK}
_Call = tuple[str, list[Any], "asyncio.Future[Any]"]


class _Charge(NamedTuple):
    """What was charged, packed: thousands are kept."""

    at: float
    subject: Subject
    digests: tuple[int, ...]
    unnamed: int
    queue_id: str
    followed: bool

    def words(self) -> list[Any]:
        call = script.call(
            self.subject, self.digests, queue_id=self.queue_id, unnamed=self.unnamed, followed=self.followed
        )
        return [len(call.keys), *call.keys, *call.args]


class Limiter:
    """Charges, looks and gives back. Every method raises RedisError while Redis is away or busy beyond the bound."""

    def __init__(self, refill: Callable[[], Awaitable[object]]) -> None:
        """`refill` fills a Redis that has lost its data (in a thread)."""
        self._refill = refill
        self._redis: Redis = Redis.from_url(
            conf.redis_url, socket_timeout=2, socket_connect_timeout=1, retry=Retry(NoBackoff(), 1)
        )
        self._shas: dict[str, str] = {}
        self._waiting: deque[_Call] = deque()
        self._wake = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None
        self._filling: asyncio.Task[object] | None = None
        self._run_id = ""
        self._recent: deque[_Charge] = deque()
        self._mirrored_at = 0.0
        self._filled = False

    def mirrored(self, began: float) -> None:
        """PostgreSQL knows every charge made before `began` (monotonic seconds)."""
        self._mirrored_at = began

    async def look(self, subject: Subject, recipients: Sequence[str], unnamed: int = 0) -> Decision:
        """What `charge` would say, charging nothing."""
        return await self._decide(subject, recipients, unnamed, "", followed=False)

    async def charge(
        self, subject: Subject, recipients: Sequence[str], queue_id: str, *, unnamed: int = 0, followed: bool = True
    ) -> Decision:
        """Charge these recipients (canonical, of other companies) and `unnamed` more, once per queue id."""
        return await self._decide(subject, recipients, unnamed, queue_id, followed=followed)

    async def give_back(self, queue_id: str) -> bool:
        """Undo a charge; False when there is none."""
        # Else a replay would do it anew.
        self._recent = deque(charge for charge in self._recent if charge.queue_id != queue_id)
        return bool(await self._ask("give_back", [1, script.charge_key(queue_id)]))

    async def settled(self, queue_ids: Sequence[str]) -> None:
        """These have arrived in the queue; nothing is to be given back any more."""
        if not queue_ids:
            return
        keys = [script.charge_key(each) for each in queue_ids]
        pipe = self._redis.pipeline(transaction=False)
        pipe.zrem(script.OPEN, *keys)
        for key in keys:
            pipe.expire(key, NO_LONGER_NEEDED)
        await pipe.execute()

    async def open_charges(self) -> list[str]:
        """Queue ids that were charged and of which nothing more is known (of an earlier gate)."""
        found = cast("list[bytes]", await self._redis.zrange(script.OPEN, 0, -1))
        return [key.decode().removeprefix("snd:q:") for key in found]

    async def close(self) -> None:
        """Let go of the connection; what waits is told that Redis is away."""
        if self._sender is not None:
            self._sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sender
        self._fail(RedisError("closing"))
        await self._redis.aclose()

    async def _decide(
        self, subject: Subject, recipients: Sequence[str], unnamed: int, queue_id: str, *, followed: bool
    ) -> Decision:
        asked = len(recipients) + unnamed
        if not asked:
            return ALLOWED
        digests = tuple(counters.digests_of(recipients))
        charge = _Charge(time.monotonic(), subject, digests, unnamed, queue_id, followed)
        words = charge.words()
        answer = await self._ask("charge", words)
        if answer[0] == -1:
            await self._fill()
            answer = await self._ask("charge", words)
            if answer[0] == -1:
                raise RedisError("empty again")
        if queue_id and answer[0] == 1:
            self._recent.append(charge)
            self._forget_old()
        return script.read(answer, subject, asked, facts.help_url())

    # One round trip for all that wait

    async def _ask(self, name: str, words: list[Any]) -> Any:
        if len(self._waiting) >= WAITING_AT_MOST:
            raise RedisError("too many decisions wait")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((name, words, future))
        self._wake.set()
        if self._sender is None or self._sender.done():
            self._sender = asyncio.get_running_loop().create_task(self._send_all())
        return await future

    async def _send_all(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                try:
                    answers = await self._send(batch)
                except RedisError as error:
                    self._run_id = ""
                    answers = [error] * len(batch)
                except Exception as error:  # a fault of ours must not leave anybody waiting
                    log.exception("limiter_fault")
                    answers = [RedisError(type(error).__name__)] * len(batch)
                for (_name, _words, future), answer in zip(batch, answers, strict=True):
                    _tell(future, answer)

    async def _send(self, batch: Sequence[_Call]) -> list[Any]:
        if not self._run_id:
            await self._greet()
        for _attempt in (1, 2):
            pipe = self._redis.pipeline(transaction=False)
            for name, words, _future in batch:
                pipe.execute_command("EVALSHA", self._shas[name], *words)
            answers = await pipe.execute(raise_on_error=False)
            if not any(isinstance(answer, NoScriptError) for answer in answers):
                break
            await self._greet()  # another Redis than before: what ran in this batch is repeated without effect
        return answers

    async def _greet(self) -> None:
        """Meet a Redis: give it the scripts, and repeat to one that was killed what it may have forgotten."""
        for name, text in _SCRIPTS.items():
            self._shas[name] = await self._redis.script_load(text)
        run_id = str((await self._redis.info("server"))["run_id"])
        self._forget_old()
        # One that was killed still knows which it had; one that was filled has what the mirror had seen.
        repeated = [charge for charge in self._recent if not self._filled or charge.at >= self._mirrored_at]
        if repeated and await self._redis.exists(script.ALIVE):
            pipe = self._redis.pipeline(transaction=False)
            for charge in repeated:
                pipe.execute_command("EVALSHA", self._shas["charge"], *charge.words())
            await pipe.execute(raise_on_error=False)
            log.warning("charges_repeated", count=len(repeated))
        self._run_id, self._filled = run_id, False

    def _forget_old(self) -> None:
        before = time.monotonic() - REPLAYED
        while self._recent and (self._recent[0].at < before or len(self._recent) > REPLAYED_AT_MOST):
            self._recent.popleft()

    async def _fill(self) -> None:
        """One refill at a time, whoever notices."""
        if self._filling is None or self._filling.done():
            self._filling = asyncio.ensure_future(self._refill())
        try:
            await asyncio.shield(self._filling)
        except RedisError:
            raise
        except Exception as error:
            raise RedisError(f"cannot be filled: {type(error).__name__}") from error
        self._run_id, self._filled = "", True  # greet again: repeats what the mirror has not seen

    def _fail(self, error: Exception) -> None:
        while self._waiting:
            _tell(self._waiting.popleft()[2], error)


def _tell(future: asyncio.Future[Any], answer: Any) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
