"""Enqueue a job in the caller's transaction, in web and worker alike.

Inside the stock worker `.defer()` uses the worker's own pool: after a rollback the job would still exist. This helper
goes through Django's connection everywhere, so a job exists exactly when the change that asked for it does.
"""

from __future__ import annotations

from datetime import datetime
from smtplib import SMTPException
from typing import Any

import psycopg
from django.db import InterfaceError, OperationalError, transaction
from procrastinate import RetryStrategy, exceptions
from procrastinate.contrib.django.django_connector import DjangoConnector
from procrastinate.manager import JobManager
from procrastinate.tasks import Task, configure_task
from psycopg_pool import PoolTimeout

_manager = JobManager(DjangoConnector(alias="default"))

_DATABASE_AWAY = {OperationalError, InterfaceError, PoolTimeout}  # also a deadlock, which one of two must repeat

# A job that meets a restart of PostgreSQL must not be the last one: nobody else would make its row true.
DATABASE_RETRY = RetryStrategy(max_attempts=60, wait=5, linear_wait=5, retry_exceptions=_DATABASE_AWAY)
"""5, 10, 15 s … for two and a half hours. What the engine refuses is retried by `engine.sync` itself."""
# 4, 16, 64 s, … 18 h: patient enough for any outage that ends within a link's life.
MAIL_RETRY = RetryStrategy(
    max_attempts=9, exponential_wait=4, retry_exceptions={OSError, SMTPException, *_DATABASE_AWAY}
)
"""For jobs that hand a mail to Postfix."""

RETRY_WAITS = (2, 5, 15, 60, 300, 900, 3600)
"""Seconds between attempts of engine work: quick at first (a restart), then patient (an outage)."""


def enqueue(
    task: Task[Any, Any, Any],
    *,
    lock: str | None = None,
    queueing_lock: str | None = None,
    schedule_at: datetime | None = None,
    priority: int | None = None,
    **kwargs: Any,
) -> bool:
    """Defer `task(**kwargs)` (JSON values only, never a secret). False when the same `queueing_lock` already waits.

    A job scheduled for later holds up younger jobs of the same `lock` unless its `priority` is lower than theirs (0).
    """
    deferrer = configure_task(
        name=task.name,
        job_manager=_manager,
        queue=task.queue,
        lock=lock or task.lock,
        queueing_lock=queueing_lock or task.queueing_lock,
        schedule_at=schedule_at,
        priority=task.priority if priority is None else priority,
    )
    try:
        # A taken queueing lock is a unique violation, which would abort the caller's transaction: own savepoint.
        with transaction.atomic():
            deferrer.defer(**kwargs)
    except exceptions.AlreadyEnqueued:
        return False
    except exceptions.ConnectorException as error:
        if isinstance(error.__cause__, psycopg.OperationalError):
            raise OperationalError(str(error.__cause__)) from error  # as every other query says it
        raise
    return True


def wait_before(attempt: int) -> int:
    """Seconds to wait before attempt number `attempt` (1 is the first retry)."""
    return RETRY_WAITS[min(max(attempt, 1), len(RETRY_WAITS)) - 1]
