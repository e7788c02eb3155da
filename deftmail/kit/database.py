"""PostgreSQL under a process of many threads: nobody waits for ever, and nothing broken stays in the pool."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import psycopg
from django.db import InterfaceError, OperationalError, connections
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout
from psycopg_pool import PoolTimeout

RV = TypeVar("RV")

DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeout)
"""What is raised while PostgreSQL is down or silent, or the pool is exhausted."""


class NoAnswer(psycopg.OperationalError):
    """PostgreSQL holds the connection and says nothing."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection whose every wait ends: a server that is stopped, swapped out or cut off says nothing at all, and
    without a bound each page would keep its thread until it speaks again."""

    answers_within: ClassVar[float] = 60.0
    """Seconds; jobs and commands may ask long questions. `bound_answers` shortens it for who is waited for."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Raises NoAnswer, and lets go of the connection, when there is no answer in time."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.answers_within)
        except _WaitTimeout:
            self.pgconn.finish()
            raise NoAnswer(f"no answer within {self.answers_within:g} s") from None


def bound_answers(seconds: float) -> None:
    """Set how long this process waits for one answer of PostgreSQL."""
    BoundedConnection.answers_within = seconds


POOL: dict[str, Any] = {
    "connection_class": BoundedConnection,
    "min_size": 1,
    "max_size": 10,
    "timeout": 3,  # seconds a page waits for a connection
    # After an outage a pool tries again in steps that grow up to this; then the next question tries at once.
    "reconnect_timeout": 5,
}
"""A pool, not CONN_MAX_AGE: under ASGI kept connections pile up one per thread."""

CONNECT_TIMEOUT = 3
"""Seconds for a connection to be made (libpq's connect_timeout)."""


def has_waited(error: BaseException) -> bool:
    """Whether one of `DATABASE_AWAY` came after a wait, so that asking again at once would only double it."""
    return any(isinstance(one, (PoolTimeout, NoAnswer)) for one in (error, error.__cause__))


def forget_connections(error: BaseException) -> None:
    """After a question failed with one of `DATABASE_AWAY`: the idle connections are as old as the one that broke, and
    each would fail one more page after PostgreSQL is back. A pool that was merely exhausted is left alone."""
    if isinstance(error, PoolTimeout) or isinstance(error.__cause__, PoolTimeout):
        return
    for connection in connections.all(initialized_only=True):
        pool = getattr(connection, "pool", None)  # None without a pool (tests)
        if pool is not None and not pool.closed:
            pool.drain()


def release_connections() -> None:
    """Give this thread's connections back to the pool before something slow that needs none (a DNS look, a hash): ten
    requests that wait for something else would leave no connection to all others. Inside a transaction it does
    nothing."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
