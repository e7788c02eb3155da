"""A silent database ends a wait, and a broken one empties the pools (on real servers: tests/test_outages.py)."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import InterfaceError, OperationalError, connections
from psycopg_pool import PoolTimeout

from deftmail.kit import database
from deftmail.kit.database import BoundedConnection, NoAnswer, bound_answers, forget_connections, has_waited


def caused(cause: Exception) -> OperationalError:
    """As Django raises it."""
    error = OperationalError(str(cause))
    error.__cause__ = cause
    return error


@pytest.mark.django_db(databases=["owner"])
def test_an_answer_that_does_not_come_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    # As the owner, who may end the sleeper when the test database goes.
    where = connections["owner"].get_connection_params()
    names = ("dbname", "user", "password", "host", "port")
    monkeypatch.setattr(BoundedConnection, "answers_within", 5.0)
    connection = BoundedConnection.connect(**{name: where[name] for name in names if name in where})
    assert connection.execute("select 1").fetchone() == (1,)
    bound_answers(0.2)
    started = time.monotonic()
    with pytest.raises(NoAnswer):
        connection.execute("select pg_sleep(30)")
    assert time.monotonic() - started < 2
    assert connection.closed, "what comes later would be taken for the answer to another question"
    with pytest.raises(psycopg.OperationalError):
        connection.execute("select 1")


@pytest.mark.parametrize(
    ("error", "waited", "emptied"),
    [
        (caused(psycopg.OperationalError("server closed the connection")), False, True),
        (InterfaceError("connection already closed"), False, True),
        (caused(NoAnswer("no answer within 4 s")), True, True),
        # Nothing broke: all connections are in use, and taking them away would make it worse.
        (caused(PoolTimeout("couldn't get a connection")), True, False),
        (PoolTimeout("couldn't get a connection"), True, False),
    ],
)
def test_what_a_failure_means_for_the_pool(
    monkeypatch: pytest.MonkeyPatch, error: Exception, waited: bool, emptied: bool
) -> None:
    drained: list[bool] = []
    pool = SimpleNamespace(closed=False, drain=lambda: drained.append(True))
    known: Any = SimpleNamespace(all=lambda initialized_only: [SimpleNamespace(pool=pool), SimpleNamespace()])
    monkeypatch.setattr(database, "connections", known)
    forget_connections(error)
    assert bool(drained) is emptied
    assert has_waited(error) is waited
