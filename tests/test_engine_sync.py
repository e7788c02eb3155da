"""The level-triggered job: a row and the engine agree in the end, whatever happens in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet

from deftmail.domains.models import Domain
from deftmail.domains.tasks import remove_domain_job, sync_domain_job
from deftmail.domains.testing import make_domain, reload
from deftmail.engine.errors import EngineRefused, EngineUnavailable
from deftmail.engine.sync import (
    MAX_ROUNDS,
    QUIET_ATTEMPTS,
    RETRY_PRIORITY,
    Outcome,
    Work,
    domain_lock,
    request_sync,
    run_removal,
    run_sync,
)
from deftmail.kit.jobs import enqueue
from deftmail.kit.models import SyncState
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants.testing import Cast

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def domain(cast: Cast) -> Domain:
    """A domain that the engine has to be told about."""
    return make_domain(cast.acme, "acme.test", proven=True, sync_state=SyncState.PENDING, synced_at=None)


def sync(domain: Domain, apply: Callable[[], None], **more: Any) -> Outcome:
    def rows() -> QuerySet[Domain]:
        return Domain.objects.filter(pk=domain.pk)

    return run_sync(
        domain.tenant_id,
        rows=rows,
        work=lambda row: Work(apply=apply, lock=domain_lock(row.domain)),
        task=sync_domain_job,
        kwargs={"tenant_id": str(domain.tenant_id), "domain_id": str(domain.pk)},
        **more,
    )


def change(domain: Domain) -> None:
    with tenant_tx(domain.tenant_id):
        assert request_sync(Domain.objects.filter(pk=domain.pk)) == 1


def jobs() -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT task_name, args, lock, priority, extract(epoch FROM scheduled_at - now())
               FROM procrastinate_jobs ORDER BY id"""
        )
        rows = cursor.fetchall()
    return [
        {
            "task": task,
            "args": json.loads(args) if isinstance(args, str) else args,
            "lock": lock,
            "priority": priority,
            "wait": wait,
        }
        for task, args, lock, priority, wait in rows
    ]


def away() -> None:
    raise EngineUnavailable("nobody there")


def test_success_marks_the_row_ready(domain: Domain) -> None:
    seen = []
    assert sync(domain, lambda: None, on_ready=lambda row: seen.append(row.pk)) is Outcome.READY
    row = reload(domain)
    assert (row.sync_state, row.sync_error, row.sync_attempts) == (SyncState.READY, "", 0)
    assert row.synced_at is not None
    assert seen == [domain.pk]
    assert jobs() == []


def test_a_job_that_comes_twice_asks_the_engine_once(domain: Domain) -> None:
    calls = []
    assert sync(domain, lambda: calls.append(1)) is Outcome.READY
    assert sync(domain, lambda: calls.append(1)) is Outcome.NOTHING
    assert len(calls) == 1


def test_a_job_of_a_deleted_row_does_nothing(domain: Domain) -> None:
    with tenant_tx(domain.tenant_id):
        Domain.objects.filter(pk=domain.pk).delete()
    assert sync(domain, away) is Outcome.NOTHING
    assert jobs() == []


def test_the_engine_is_never_asked_inside_a_transaction(domain: Domain) -> None:
    inside = []
    sync(domain, lambda: inside.append(connection.in_atomic_block))
    assert inside == [False]


def test_a_short_outage_is_shown_as_provisioning_and_tried_again(domain: Domain) -> None:
    assert sync(domain, away) is Outcome.RETRY
    row = reload(domain)
    assert (row.sync_state, row.sync_attempts) == (SyncState.PENDING, 1)
    assert row.sync_error == str(EngineUnavailable.reason)
    (job,) = jobs()
    assert job["task"] == sync_domain_job.name
    assert job["args"] == {"tenant_id": str(domain.tenant_id), "domain_id": str(domain.pk)}
    assert (job["lock"], job["priority"]) == ("engine:domain:acme.test", RETRY_PRIORITY)
    assert 0 < job["wait"] <= 2


def test_a_longer_outage_is_shown_as_failed_while_retries_go_on_ever_more_patiently(domain: Domain) -> None:
    for _ in range(QUIET_ATTEMPTS + 1):
        assert sync(domain, away) is Outcome.RETRY
    assert reload(domain).sync_state == SyncState.FAILED
    waits = [job["wait"] for job in jobs()]
    assert len(waits) == QUIET_ATTEMPTS + 1
    assert waits == sorted(waits)
    assert waits[-1] > 30
    assert sync(domain, lambda: None) is Outcome.READY, "it heals by itself"
    assert reload(domain).sync_error == ""


def test_a_refusal_is_failed_at_once_and_waits_for_a_person(domain: Domain) -> None:
    def refuse() -> None:
        raise EngineRefused("no", reason="This name is too long.")

    assert sync(domain, refuse) is Outcome.FAILED
    row = reload(domain)
    assert (row.sync_state, row.sync_error) == (SyncState.FAILED, "This name is too long.")
    assert jobs() == []
    change(domain)
    assert reload(domain).sync_state == SyncState.PENDING
    assert sync(domain, lambda: None) is Outcome.READY


def test_a_fault_of_ours_is_recorded_and_tried_again(domain: Domain) -> None:
    def fault() -> None:
        raise KeyError("x")

    assert sync(domain, fault) is Outcome.RETRY
    assert reload(domain).sync_attempts == 1
    assert len(jobs()) == 1


def test_a_row_that_cannot_be_read_into_a_spec_is_recorded_under_its_lock(domain: Domain) -> None:
    def broken(row: Domain) -> Work:
        raise EngineRefused("seal broken")

    outcome = run_sync(
        domain.tenant_id,
        rows=lambda: Domain.objects.filter(pk=domain.pk),
        work=broken,
        task=sync_domain_job,
        kwargs={},
    )
    assert outcome is Outcome.FAILED
    assert reload(domain).sync_state == SyncState.FAILED


def test_a_retry_keeps_its_lock_when_the_spec_could_not_be_made(domain: Domain) -> None:
    def not_yet(row: Domain) -> Work:
        raise EngineUnavailable("something it needs is not there")

    run_sync(
        domain.tenant_id,
        rows=lambda: Domain.objects.filter(pk=domain.pk),
        work=not_yet,
        task=sync_domain_job,
        kwargs={},
        lock=lambda row: domain_lock(row.domain),
    )
    assert [job["lock"] for job in jobs()] == ["engine:domain:acme.test"]


def test_a_row_that_changes_meanwhile_is_followed(domain: Domain) -> None:
    calls = []

    def apply() -> None:
        calls.append(1)
        if len(calls) == 1:
            change(domain)

    assert sync(domain, apply) is Outcome.READY
    assert len(calls) == 2, "the older state alone is not ready"
    assert reload(domain).sync_state == SyncState.READY


def test_a_failure_of_an_older_state_does_not_mark_the_newer_one(domain: Domain) -> None:
    def refuse_after_a_change() -> None:
        change(domain)
        raise EngineRefused("the older state")

    assert sync(domain, refuse_after_a_change) is Outcome.RETRY
    row = reload(domain)
    assert (row.sync_state, row.sync_error, row.sync_attempts) == (SyncState.PENDING, "", 0)
    assert len(jobs()) == 1


def test_a_row_that_never_stops_changing_is_left_to_another_job(domain: Domain) -> None:
    calls = []

    def apply() -> None:
        calls.append(1)
        change(domain)

    assert sync(domain, apply) is Outcome.RETRY
    assert len(calls) == MAX_ROUNDS
    assert len(jobs()) == 1


def test_a_waiting_retry_does_not_hold_up_a_person(domain: Domain) -> None:
    sync(domain, away)
    change(domain)
    with tenant_tx(domain.tenant_id):
        enqueue(sync_domain_job, lock=domain_lock("acme.test"), tenant_id="asked-now", domain_id="x")
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id")
        worker = cursor.fetchone()[0]
        cursor.execute("SELECT args FROM procrastinate_fetch_job_v2(NULL, %s)", [worker])
        args = cursor.fetchone()[0]
    assert "asked-now" in str(args)


def test_a_removal_is_tried_until_the_engine_answers() -> None:
    def removal(act: Callable[[], None], attempt: int = 0) -> Outcome:
        return run_removal(
            act,
            task=remove_domain_job,
            kwargs={"name": "acme.test", "domain_id": "i"},
            lock=domain_lock("acme.test"),
            attempt=attempt,
        )

    assert removal(away) is Outcome.RETRY
    assert removal(away, attempt=4) is Outcome.RETRY
    first, later = jobs()
    assert first["args"] == {"name": "acme.test", "domain_id": "i", "attempt": 1}
    assert later["args"]["attempt"] == 5
    assert first["wait"] < later["wait"]
    assert removal(lambda: None) is Outcome.READY


def test_a_refused_removal_stops() -> None:
    def refuse() -> None:
        raise EngineRefused("no")

    assert run_removal(refuse, task=remove_domain_job, kwargs={}, lock="x") is Outcome.FAILED
    assert jobs() == []
