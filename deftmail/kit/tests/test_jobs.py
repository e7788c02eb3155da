"""A job that met a restart of the database is tried again: nobody else would do its work."""

from __future__ import annotations

from smtplib import SMTPServerDisconnected
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError
from procrastinate.contrib.django import app
from psycopg_pool import PoolTimeout

from deftmail.kit.jobs import DATABASE_RETRY, MAIL_RETRY


def decision(task: Any, error: Exception, attempts: int = 0) -> Any:
    job: Any = SimpleNamespace(attempts=attempts)
    return task.retry_strategy and task.retry_strategy.get_retry_decision(exception=error, job=job)


def tasks() -> dict[str, Any]:
    """Every task of ours but the clocks, whose next run is their retry."""
    app.perform_import_paths()
    clocks = {periodic.task.name for periodic in app.periodic_registry.periodic_tasks.values()}
    return {name: task for name, task in app.tasks.items() if name.startswith("deftmail.") and name not in clocks}


def test_every_task_survives_a_database_that_is_away() -> None:
    found = tasks()
    assert len(found) >= 8
    # A look at the DNS is due again by itself after its lease (domains.selectors.system.LEASE).
    without = {"deftmail.domains.tasks.check_domain_job"}
    for name in found.keys() - without:
        for error in (OperationalError("terminating connection"), PoolTimeout("no connection")):
            assert decision(found[name], error), name


def test_a_fault_of_ours_is_not_repeated_for_ever() -> None:
    for strategy in (DATABASE_RETRY, MAIL_RETRY):
        task = SimpleNamespace(retry_strategy=strategy)
        assert decision(task, ValueError("bug")) is None
        assert decision(task, OperationalError("away"), attempts=1000) is None


@pytest.mark.parametrize("error", [ConnectionRefusedError(), SMTPServerDisconnected("gone"), TimeoutError()])
def test_mail_waits_for_postfix(error: Exception) -> None:
    assert decision(SimpleNamespace(retry_strategy=MAIL_RETRY), error)
