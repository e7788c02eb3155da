"""The engine's reports, of all companies, as `deftmail_system`."""

from __future__ import annotations

from datetime import datetime

from django.db import connections

from deftmail.kit.tenancy import SYSTEM

BATCH = 10_000


def forget_events(before: datetime) -> int:
    """Delete what was received before that moment, in batches that hold no lock for long; returns how many."""
    forgotten: int = 0
    while True:
        with connections[SYSTEM].cursor() as cursor:
            cursor.execute(
                """
                DELETE FROM engine_events WHERE id IN (
                    SELECT id FROM engine_events WHERE received_at < %s ORDER BY id LIMIT %s
                )
                """,
                [before, BATCH],
            )
            forgotten += int(cursor.rowcount)
            if cursor.rowcount < BATCH:
                return forgotten
