"""Jobs of this room."""

from __future__ import annotations

from procrastinate.contrib.django import app

from deftmail.api.selectors import system


@app.periodic(cron="40 3 * * *")
@app.task(queueing_lock="api-forget-idempotency-keys")
def forget_idempotency_keys(timestamp: int = 0) -> None:
    """Every night: remove the answers that are too old to be asked for again."""
    system.forget_old_answers()
