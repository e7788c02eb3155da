"""Jobs of a worker that was killed (the outages themselves are walked on real servers: tests/test_outages.py)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.db import connections
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from deftmail.kit.jobs import enqueue
from deftmail.mailboxes import tasks
from deftmail.ops.worker import give_back_stalled, stalled_after

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "system", "owner"])


def started_by_a_worker(silent_for: float) -> None:
    """Every job is in the hands of a worker whose last sign of life is that many seconds old."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - make_interval(secs => %s))"
            " RETURNING id",
            [silent_for],
        )
        cursor.execute("UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s", [cursor.fetchone()[0]])


def sweep() -> int:
    async def once() -> int:
        connector: Any = app.connector
        with app.replace_connector(connector.get_worker_connector()):
            async with app.open_async():
                return await give_back_stalled()

    return asyncio.run(once())


def statuses() -> list[str]:
    return list(ProcrastinateJob.objects.order_by("id").values_list("status", flat=True))


def test_the_job_of_a_silent_worker_goes_back() -> None:
    enqueue(tasks.remove_mailbox, address="a@b.test", mailbox_id="x")
    started_by_a_worker(stalled_after() + 5)
    assert sweep() == 1
    assert statuses() == ["todo"]


def test_a_worker_that_merely_missed_a_beat_keeps_its_job() -> None:
    enqueue(tasks.remove_mailbox, address="a@b.test", mailbox_id="x")
    started_by_a_worker(stalled_after() / 2)
    assert sweep() == 0
    assert statuses() == ["doing"]


def test_one_that_cannot_go_back_does_not_hold_up_the_others() -> None:
    """The next run of its clock waits already: there may be one waiting job of a queueing lock."""
    enqueue(tasks.remove_mailbox, queueing_lock="clock", address="a@b.test", mailbox_id="x")
    enqueue(tasks.remove_mailbox, address="c@d.test", mailbox_id="y")
    started_by_a_worker(stalled_after() + 5)
    enqueue(tasks.remove_mailbox, queueing_lock="clock", address="a@b.test", mailbox_id="x")
    assert sweep() == 2
    assert statuses() == ["doing", "todo", "todo"]
