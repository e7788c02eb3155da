"""Jobs of this room."""

from __future__ import annotations

import structlog
from django.utils.timezone import now
from procrastinate.contrib.django import app

from deftmail.engine.events import KEPT_FOR
from deftmail.engine.selectors.system import forget_events

log = structlog.get_logger(__name__)


@app.periodic(cron="41 3 * * *")
@app.task(queueing_lock="engine-events-prune")
def prune_events(timestamp: int = 0) -> None:
    """Each night: forget what the engine reported more than 30 days ago."""
    log.info("engine_events_pruned", count=forget_events(now() - KEPT_FOR))
