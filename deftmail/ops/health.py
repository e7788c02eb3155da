"""What this process can reach, asked at most once a second however often anybody asks us: /healthz is public."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from django.core.cache import cache
from django.db import connections

from deftmail.engine.errors import EngineUnavailable
from deftmail.engine.port import EngineHealth
from deftmail.engine.registry import engine
from deftmail.kit import ratelimit

FRESH = 1.0
"""Seconds that what was found counts."""
ENGINE_WITHIN = 3.0
"""Seconds for the engine to say how it is."""
Report = dict[str, dict[str, object]]


class _Engines:
    """The engine's own report, waited for a moment: a frozen engine takes as long as its driver's longest wait.

    Who comes while one report is not there yet waits for that one, so that no threads pile up.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "health")
        self._asked: Future[EngineHealth] | None = None

    def ask(self) -> EngineHealth:
        """Raises TimeoutError where it takes longer than `ENGINE_WITHIN`."""
        if self._asked is None or self._asked.done():
            self._asked = self._thread.submit(lambda: engine().health())
        return self._asked.result(ENGINE_WITHIN)


_engines = _Engines()


def _database() -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("select 1")


def _redis() -> None:
    ratelimit.client().ping()


def _cache() -> None:
    cache.get("health")


def _engine() -> None:
    health = _engines.ask()
    if not health.ok:  # it reports what is away, it does not raise
        raise EngineUnavailable(", ".join(part for part, trouble in health.parts.items() if trouble))


PARTS: dict[str, Callable[[], None]] = {"database": _database, "redis": _redis, "cache": _cache, "engine": _engine}


class Health:
    """The report of a process, and how long it counts. Safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asking = threading.Lock()
        self._fresh_until = float("-inf")
        self._found: Report = {}

    def report(self) -> Report:
        """Each part: `ok` with `ms`, or the `error`. Who comes while somebody asks waits for that answer."""
        with self._asking:
            if self._clock() >= self._fresh_until:
                self._found = {name: _ask(probe) for name, probe in PARTS.items()}
                self._fresh_until = self._clock() + FRESH
            return self._found


def _ask(probe: Callable[[], None]) -> dict[str, object]:
    started = time.monotonic()
    try:
        probe()
    except Exception as error:  # whatever it is, the answer is that this part is down
        return {"ok": False, "error": type(error).__name__}
    return {"ok": True, "ms": round((time.monotonic() - started) * 1000, 1)}


health = Health()
