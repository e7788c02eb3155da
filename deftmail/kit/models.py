"""Abstract models shared by the rooms."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class Stamped(models.Model):
    """A row with an unguessable id and its two times (UTC)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class SyncState(models.TextChoices):
    """Is the engine as this row says? Shown to people beside the object."""

    PENDING = "pending", _("Provisioning")
    READY = "ready", _("Ready")
    FAILED = "failed", _("Failed")


class Synced(models.Model):
    """Desired state that a level-triggered job makes true in the engine (docs/decisions/0002).

    `generation` grows with every change of what the engine should be; a job that began with an older one does not
    mark the row ready.
    """

    sync_state = models.CharField(max_length=10, choices=SyncState.choices, default=SyncState.PENDING)
    sync_error = models.TextField(blank=True, default="")
    sync_attempts = models.IntegerField(default=0)
    synced_at = models.DateTimeField(null=True, blank=True)
    generation = models.IntegerField(default=1)

    SYNC_FIELDS: ClassVar[tuple[str, ...]] = ("sync_state", "sync_error", "sync_attempts", "synced_at")

    class Meta:
        abstract = True
