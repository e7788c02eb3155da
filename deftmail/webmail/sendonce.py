"""Two clicks on Send at the same moment, in two processes: the second waits for the first and then finds it sent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import redis
import structlog

from deftmail.kit import ratelimit

log = structlog.get_logger(__name__)

HELD = 120.0  # seconds after which a lock of a process that died is free
PATIENCE = 60.0  # seconds the second click waits


@contextmanager
def alone(message_id: str) -> Iterator[None]:
    """Hold back every other sending of this Message-ID while the block runs.

    What was sent in the meantime is found by its Message-ID (`MailAccount.send`). With Redis away the block runs
    unguarded: mail that is written must leave, and two clicks in the same instant are rarer than an outage.
    """
    lock = _taken(message_id)
    try:
        yield
    finally:
        if lock is not None:
            try:
                lock.release()
            except redis.RedisError:  # expired, or Redis went away: it frees itself
                log.warning("webmail.send_lock_not_released")


def _taken(message_id: str) -> redis.lock.Lock | None:
    name = "webmail:send:" + hashlib.sha256(message_id.encode()).hexdigest()
    lock = ratelimit.client().lock(name, timeout=HELD, blocking_timeout=PATIENCE, sleep=0.1)
    try:
        return lock if lock.acquire() else None
    except redis.RedisError as error:
        log.warning("webmail.send_lock_unavailable", error=type(error).__name__)
        return None
