"""The gate's blocking work (PostgreSQL, Redis, bcrypt) in threads, bounded, and healed after a restart of the database.

Why threads and Django's ORM rather than an async driver: the facts come through the same selectors that every other
room uses and tests, under the same database roles; a row read costs about a millisecond either way. bcrypt lets go of
the interpreter lock while it works, so threads use every core for it.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog
from django.db import connections
from redis.exceptions import RedisError

from deftmail.kit.database import DATABASE_AWAY, forget_connections, has_waited

T = TypeVar("T")
log = structlog.get_logger(__name__)

AWAY = (*DATABASE_AWAY, RedisError)
"""What a database or Redis that is away, starting or full raises."""

READERS = 4
"""Threads that ask the database: as many as the pool of `deftmail_system` has connections."""
MAX_READS_WAITING = 1000
"""Questions that may wait for a thread: as many as there are connections of Postfix."""


class Busy(Exception):
    """More work waits than is worth taking on: answer "later"."""


class Threads:
    """A pool of threads with a bounded queue, driven from the event loop."""

    def __init__(self, name: str, workers: int, max_waiting: int) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._most = workers + max_waiting
        self._taken = 0
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """Calls that run or wait."""
        return self._taken

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """`function(*args)` in a thread. Raises Busy at once when the queue is full, else what the function raises."""
        if self._taken >= self._most:
            raise Busy
        with self._lock:
            self._taken += 1
        try:
            future = self._executor.submit(function, *args)
        except BaseException:
            self._release()
            raise
        # Counted until the thread is done, not until the caller stops waiting: a cancelled wait frees no thread.
        future.add_done_callback(self._release)
        return await asyncio.wrap_future(future)

    def _release(self, _done: object = None) -> None:
        with self._lock:  # called in the worker's thread
            self._taken -= 1

    def close(self) -> None:
        """Take no more calls; those that run finish by themselves."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def reader_threads() -> Threads:
    return Threads("gate-read", READERS, MAX_READS_WAITING)


def hash_threads() -> Threads:
    """One thread per core for bcrypt; 64 more questions may wait, which is about 8 seconds on two cores."""
    return Threads("gate-hash", os.cpu_count() or 2, 64)


def on_connection(function: Callable[[], T]) -> T:
    """Run a piece of database work in this thread; once more when the connection turned out to be dead.

    After a restart of PostgreSQL every pooled connection is a dead one, and each would fail one question: the pool is
    emptied before the second try. Whatever happens, the thread's connections go back to the pool.
    """
    try:
        return function()
    except DATABASE_AWAY as error:
        log.warning("database_connection_lost", error=type(error).__name__)
        _renew(error)
        if has_waited(error):
            raise
        return function()
    finally:
        connections.close_all()


def _renew(error: BaseException) -> None:
    connections.close_all()
    forget_connections(error)
