"""Taking in what a mail engine reports, once each and in order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

KEPT_FOR = timedelta(days=30)
"""After that an event is deleted, and one as old is not taken in: a replay could otherwise come back as new."""


@dataclass(frozen=True, slots=True)
class Event:
    """One report. `queue_id` decimal, empty where the event belongs to no message."""

    id: str
    kind: str
    happened_at: datetime
    queue_id: str
    data: dict[str, Any]


def record_events(events: Sequence[Event]) -> int:
    """Keep those not seen before, in this order; returns how many were new. Safe to repeat, also side by side.

    The role may only insert, which is why this says neither which were new nor what is there.
    """
    if not events:
        return 0
    rows = [(event.id, event.kind, event.happened_at, event.queue_id, json.dumps(event.data)) for event in events]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO engine_events (event_id, kind, happened_at, queue_id, data)
            SELECT * FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::jsonb[])
            ON CONFLICT DO NOTHING
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )
        return int(cursor.rowcount)
