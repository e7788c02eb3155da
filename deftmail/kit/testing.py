"""Helpers of tests in every room: cheap passwords, and the worker's loop in the test's own thread."""

from __future__ import annotations

import json
from typing import Any

import bcrypt
from django.db import connection

from deftmail.kit.passwords import Bcrypt12Hasher

GOOD_PASSWORD = "plum orbit ledger quay"


class CheapHasher(Bcrypt12Hasher):
    """bcrypt at its lowest cost, same form: the suite makes hundreds of users. Cost 12 has a test of its own."""

    rounds = 4

    def must_update(self, encoded: str) -> bool:
        return False


def cheap_hash(password: str) -> str:
    """A bare `$2b$04$` hash for rows made directly."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def waiting_jobs(task: Any) -> list[dict[str, Any]]:
    """The arguments of the waiting jobs of one task, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT args FROM procrastinate_jobs WHERE task_name = %s AND status = 'todo' ORDER BY id", [task.name]
        )
        rows = [row[0] for row in cursor.fetchall()]
    return [json.loads(row) if isinstance(row, str) else row for row in rows]


def run_jobs(*tasks: Any) -> int:
    """Run the waiting jobs of these tasks here, and those they enqueue for now, until none is left. How many ran."""
    ran = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                """DELETE FROM procrastinate_jobs WHERE id = (
                       SELECT min(id) FROM procrastinate_jobs WHERE task_name = ANY(%s) AND status = 'todo'
                       AND (scheduled_at IS NULL OR scheduled_at <= now())
                   ) RETURNING task_name, args""",
                [[task.name for task in tasks]],
            )
            row = cursor.fetchone()
        if row is None:
            return ran
        arguments = json.loads(row[1]) if isinstance(row[1], str) else row[1]
        next(task for task in tasks if task.name == row[0])(**arguments)
        ran += 1
