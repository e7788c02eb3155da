"""What the mail engine reported, in the order it came in: the delivery log is made from it."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class EngineEvent(models.Model):
    """One event of an engine's webhook. Kept for 30 days; `id` is the order of arrival.

    Written by the web (insert only), read by jobs as `deftmail_system`: one stream holds everybody's mail, and whose an
    event is becomes known when it is read (docs/stalwart.md).
    """

    id = models.BigAutoField(primary_key=True)
    event_id = models.CharField(max_length=100, help_text="The engine's own id; unique together with kind and time.")
    kind = models.CharField(max_length=100, help_text="The engine's name of the event: delivery.dsn-perm-fail, …")
    happened_at = models.DateTimeField(help_text="When the engine says it happened.")
    queue_id = models.CharField(max_length=20, blank=True, default="", help_text="Decimal: over 53 bits.")
    data = models.JSONField(help_text="As the engine wrote it.")
    received_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "engine_events"
        constraints = (models.UniqueConstraint(fields=("event_id", "kind", "happened_at"), name="engine_events_once"),)
        indexes = (
            models.Index(fields=("queue_id", "id"), name="idx_engine_events_queue"),
            models.Index(fields=("received_at",), name="idx_engine_events_received"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.event_id}"
