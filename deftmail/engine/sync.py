"""The level-triggered job of every engine object: read what should be, make it so, write down how that went.

A room's action changes its row and calls `request_sync`, then enqueues its task in the same transaction. The task calls
`run_sync` (the row exists) or `run_removal` (it is gone). Running either twice, late or at the same time as another is
harmless: the row is read anew each time, and an outcome is written only for the generation it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

import structlog
from django.db.models import F, QuerySet
from django.utils import timezone
from procrastinate.tasks import Task

from deftmail.engine.errors import EngineError, Unexpected
from deftmail.engine.redact import redact
from deftmail.kit.jobs import enqueue, wait_before
from deftmail.kit.models import Synced, SyncState
from deftmail.kit.tenancy import tenant_tx

log = structlog.get_logger("deftmail.engine")
M = TypeVar("M", bound=Synced)

QUIET_ATTEMPTS = 3
"""Attempts that leave a row `pending` ("provisioning"): a restart of the engine is no failure worth showing."""
MAX_ROUNDS = 3
"""Times one job follows a row that changes under it, before it leaves the rest to another job."""
RETRY_PRIORITY = -1
"""Below a person's own change: a waiting retry with the same lock must not hold that up (procrastinate orders the
jobs of one lock by priority, then id, also when the first is scheduled for later)."""


class Outcome(StrEnum):
    """How one job ended."""

    READY = "ready"
    NOTHING = "nothing"  # the row is gone, or was ready already
    RETRY = "retry"  # failed; the next attempt is enqueued
    FAILED = "failed"  # failed for good until a person retries


@dataclass(frozen=True, slots=True)
class Work:
    """What one row asks of the engine: `apply` runs outside any transaction; `lock` orders the jobs of one name."""

    apply: Callable[[], None]
    lock: str


def mailbox_lock(address: str) -> str:
    """The procrastinate lock of all jobs about one address."""
    return f"engine:mailbox:{address}"


def domain_lock(name: str) -> str:
    """The procrastinate lock of all jobs about one domain name."""
    return f"engine:domain:{name}"


def request_sync(rows: QuerySet[M]) -> int:
    """Say that the engine must be made to agree with these rows again; call it in the transaction that changed them,
    and for "retry". Returns the number of rows. The caller enqueues the task."""
    return rows.update(generation=F("generation") + 1, sync_state=SyncState.PENDING, sync_error="", sync_attempts=0)


def run_sync(
    tenant_id: UUID | str,
    *,
    rows: Callable[[], QuerySet[M]],
    work: Callable[[M], Work],
    task: Task[Any, Any, Any],
    kwargs: Mapping[str, Any],
    on_ready: Callable[[M], None] | None = None,
    lock: Callable[[M], str] | None = None,
) -> Outcome:
    """Make the engine agree with one row.

    rows: the queryset of that one row, called inside `tenant_tx`
    work: what to do for it, called inside `tenant_tx` (reads what it needs; talks to nobody); may raise EngineError
    task, kwargs: how to enqueue this same job again
    on_ready: called inside the transaction that marks the row ready (the row as it was read), for what follows
    lock: the lock of the retry when `work` itself fails, before it could name one
    """
    outcome = Outcome.NOTHING
    for _round in range(MAX_ROUNDS):
        with tenant_tx(tenant_id):
            row = rows().first()
            if row is None or row.sync_state == SyncState.READY:
                return outcome
            generation, failure = row.generation, None
            held = lock(row) if lock is not None else None
            try:
                todo = work(row)
                held = todo.lock
            except Exception as error:
                failure = _as_engine_error(error)
        if failure is None:
            failure = _attempt(todo.apply)
        with tenant_tx(tenant_id):
            current = rows().filter(generation=generation)
            if failure is None:
                stored = current.update(
                    sync_state=SyncState.READY, sync_error="", sync_attempts=0, synced_at=timezone.now()
                )
                if stored:
                    if on_ready is not None:
                        on_ready(row)
                    return Outcome.READY
                outcome = Outcome.NOTHING
                continue  # it changed meanwhile: what we did may have undone a newer job's work, so follow it
            return _record_failure(current, row, failure, task, kwargs, held)
    with tenant_tx(tenant_id):
        _again(task, kwargs, held, attempt=1)
    return Outcome.RETRY


def run_removal(
    remove: Callable[[], None],
    *,
    task: Task[Any, Any, Any],
    kwargs: Mapping[str, Any],
    lock: str,
    attempt: int = 0,
) -> Outcome:
    """Take out of the engine what no row stands for any more. `kwargs` must hold `attempt`, a parameter of the task.

    There is no row to show a failure on: refusals are logged as errors and left to `deftmail engine reconcile`.
    """
    failure = _attempt(remove)
    if failure is None:
        return Outcome.READY
    if failure.permanent:
        log.error("engine_removal_refused", task=task.name, lock=lock, error=str(failure))
        return Outcome.FAILED
    _again(task, {**kwargs, "attempt": attempt + 1}, lock, attempt=attempt + 1)
    return Outcome.RETRY


def _attempt(act: Callable[[], None]) -> EngineError | None:
    try:
        act()
    except Exception as error:
        return _as_engine_error(error)
    return None


def _as_engine_error(error: Exception) -> EngineError:
    if isinstance(error, EngineError):
        return error
    log.exception("engine_sync_fault")
    return Unexpected(redact(f"{type(error).__name__}: {error}"))


def _record_failure(
    current: QuerySet[M],
    row: M,
    failure: EngineError,
    task: Task[Any, Any, Any],
    kwargs: Mapping[str, Any],
    lock: str | None,
) -> Outcome:
    attempts = row.sync_attempts + 1
    shown = failure.permanent or attempts > QUIET_ATTEMPTS
    stored = current.update(
        sync_state=SyncState.FAILED if shown else SyncState.PENDING,
        sync_error=str(failure.reason),
        sync_attempts=attempts,
    )
    if failure.permanent and stored:
        return Outcome.FAILED
    _again(task, kwargs, lock, attempt=attempts if stored else 1)
    return Outcome.RETRY


def _again(task: Task[Any, Any, Any], kwargs: Mapping[str, Any], lock: str | None, *, attempt: int) -> None:
    when = timezone.now() + timedelta(seconds=wait_before(attempt))
    enqueue(task, lock=lock, schedule_at=when, priority=RETRY_PRIORITY, **kwargs)
