"""The test database is made and migrated by its owner; every test then runs as `deftmail_app`, under row security."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["deftmail.tenants.testing", "deftmail.engine.testing", "deftmail.domains.testing"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Two processes test on one stack: a test that is `alone` waits for the other's, and keeps the next one waiting."""
    var = Path(os.environ.get("DEFTMAIL_VAR", "/nowhere"))
    if not var.is_dir():
        return (yield)
    kind = fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH
    with (var / "tests.gate").open("a") as gate, (var / "tests.lock").open("a") as lock:
        fcntl.flock(gate, kind)  # first in the queue, or who is many would never let one through
        fcntl.flock(lock, kind)
        if kind == fcntl.LOCK_SH:
            fcntl.flock(gate, fcntl.LOCK_UN)
        return (yield)


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: Any, request: pytest.FixtureRequest) -> Iterator[None]:
    """One database per worker, made by `deftmail_owner`; all three aliases then point to it."""
    from django.core.management import call_command
    from django.db import connections

    worker = getattr(request.config, "workerinput", {}).get("workerid", "main")
    with django_db_blocker.unblock():
        owner = connections["owner"]
        suffix = os.environ.get("DEFTMAIL_TEST_DB_SUFFIX", "")
        name = f"test_{owner.settings_dict['NAME']}{suffix}_{worker}"
        with owner.cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        original = {alias: connections[alias].settings_dict["NAME"] for alias in connections}
        for alias in connections:
            connections[alias].close()
            connections[alias].settings_dict["NAME"] = name
        call_command("setup", verbosity=0)
        connections["owner"].close()
    yield
    with django_db_blocker.unblock():
        for alias in connections:
            connections[alias].close()
            connections[alias].settings_dict["NAME"] = original[alias]
        with connections["owner"].cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connections["owner"].close()


def _flush_as_owner(self: Any) -> None:
    """Replaces the flush of TransactionTestCase: `deftmail_app` may not TRUNCATE, and plans are data of migrations.

    A connection of its own: a test that does not list `owner` among its databases may not use Django's.
    """
    import psycopg
    from django.db import connections

    keep = {"plans", "django_migrations", "django_content_type"}
    where = connections["owner"].get_connection_params()
    with psycopg.connect(
        **{name: where[name] for name in ("dbname", "user", "password", "host", "port") if name in where}
    ) as owner:
        rows = owner.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        names = ", ".join(f'"{row[0]}"' for row in rows if row[0] not in keep)
        owner.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")


@pytest.fixture(autouse=True, scope="session")
def _owner_flushes() -> Iterator[None]:
    from django.test import TransactionTestCase

    original = TransactionTestCase._fixture_teardown
    TransactionTestCase._fixture_teardown = _flush_as_owner  # type: ignore[method-assign]
    yield
    TransactionTestCase._fixture_teardown = original  # type: ignore[method-assign]
