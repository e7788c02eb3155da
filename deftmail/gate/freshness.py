"""What was read a moment ago, kept for a moment: one read a second and key, however many ask."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

FRESH = 1.0
"""Seconds. A block or a state is in force on every door within two: this one, and the read that began before it."""
KEPT_AT_MOST = 10_000


class Fresh(Generic[T]):
    """Answers of `read(key)`, at most `FRESH` seconds old when the read began; those who ask at once share one read."""

    def __init__(self, read: Callable[[str], Awaitable[T]], clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, T]] = OrderedDict()
        self._reading: dict[str, asyncio.Future[T]] = {}

    async def get(self, key: str) -> T:
        """The answer. Raises what the read raises; a failure is not kept."""
        kept = self._kept.get(key)
        if kept is not None and kept[0] > self._clock():
            return kept[1]
        reading = self._reading.get(key)
        if reading is None:
            reading = asyncio.ensure_future(self._read_now(key))
            self._reading[key] = reading
            reading.add_done_callback(lambda done: self._done(key, done))
        return await asyncio.shield(reading)  # whoever stops waiting does not take it from the others

    async def _read_now(self, key: str) -> T:
        until = self._clock() + FRESH
        answer = await self._read(key)
        self._kept[key] = (until, answer)
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT_AT_MOST:
            self._kept.popitem(last=False)
        return answer

    def _done(self, key: str, done: asyncio.Future[T]) -> None:
        self._reading.pop(key, None)
        if not done.cancelled():
            done.exception()  # retrieved, also when nobody waits any more
