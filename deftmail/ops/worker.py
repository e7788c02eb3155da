"""The worker as one process that outlives outages of PostgreSQL and takes over what a killed one left."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from typing import Any

import psycopg
import structlog
from procrastinate import PsycopgConnector
from procrastinate.contrib.django import app
from procrastinate.contrib.django.utils import connector_params
from procrastinate.exceptions import ConnectorException
from psycopg_pool import AsyncConnectionPool

from deftmail.kit.conf import conf
from deftmail.kit.database import DATABASE_AWAY, forget_connections

log = structlog.get_logger(__name__)

AWAY = (ConnectorException, psycopg.Error)
"""What procrastinate lets through while PostgreSQL is away."""
PAUSE = 1.0
"""Seconds between two lives of the worker during an outage; the pool itself waits `OPEN_WITHIN` for a connection."""
OPEN_WITHIN = 3.0
BEATS_MISSED = 6
"""Signs of life that a worker may miss before its jobs are given to another."""


class _Pool(AsyncConnectionPool):
    """procrastinate waits for the first connection as long as a pool does by default, which tries ever more rarely."""

    async def open(self, wait: bool = False, timeout: float = OPEN_WITHIN) -> None:
        await super().open(wait, timeout)


def stalled_after() -> float:
    """Seconds without a sign of life after which a worker counts as dead."""
    return BEATS_MISSED * conf.worker_heartbeat


async def run_until_told() -> None:
    """Work until SIGTERM or SIGINT, then finish what runs. Raises what is no outage."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    waiting = loop.create_task(told.wait())
    while not told.is_set():
        life = loop.create_task(_live())
        await asyncio.wait({life, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if told.is_set():
            life.cancel()
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await life
            # procrastinate also ends by itself, without an error, where it could say good-bye to the database.
            if not told.is_set():
                log.error("worker.lost_the_database")
        except AWAY as error:
            log.error("worker.database_away", error=type(error).__name__)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(told.wait(), PAUSE)


async def _live() -> None:
    """One life: registered in the database, until cancelled or the database is lost."""
    connector = PsycopgConnector(
        pool_factory=_Pool,
        kwargs=connector_params(),
        min_size=1,
        max_size=8,
        timeout=OPEN_WITHIN,
        reconnect_timeout=OPEN_WITHIN,
    )
    with app.replace_connector(connector):
        async with app.open_async():
            sweeping = asyncio.create_task(_sweep())
            try:
                await app.run_worker_async(
                    install_signal_handlers=False,
                    update_heartbeat_interval=conf.worker_heartbeat,
                    stalled_worker_timeout=stalled_after(),
                    task_middleware=[*app.worker_defaults.get("task_middleware", ()), _forget_broken],
                )
            finally:
                sweeping.cancel()


def _forget_broken(call_next: Callable[[], Any], _context: Any, _worker: Any) -> Any:
    """Around each job: when the database failed it, the pooled connections would fail the next ones too."""
    try:
        return call_next()
    except DATABASE_AWAY as error:
        forget_connections(error)
        raise


async def _sweep() -> None:
    """Jobs of a worker that was killed run again, here or in another worker.

    All engine work is level-triggered, so running one twice is harmless.
    """
    while True:
        await asyncio.sleep(stalled_after() / 2)
        try:
            await give_back_stalled()
        except AWAY as error:
            log.warning("worker.sweep_failed", error=type(error).__name__)


async def give_back_stalled() -> int:
    """Give the jobs of workers without a sign of life back to the queue; returns how many."""
    jobs = list(await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=stalled_after()))
    for job in jobs:
        log.warning("job_stalled", job=job.id, task=job.task_name)
        try:
            await app.job_manager.retry_job(job)
        except AWAY as error:
            # Another worker was first, or the next job of its queueing lock waits and will do the same work.
            log.warning("job_not_given_back", job=job.id, error=type(error).__name__)
    return len(jobs)
