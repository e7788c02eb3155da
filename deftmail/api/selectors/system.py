"""What crosses companies: forgetting old answers."""

from __future__ import annotations

from django.utils import timezone

from deftmail.api.idempotency import KEEP
from deftmail.api.models import IdempotencyKey
from deftmail.kit.tenancy import SYSTEM


def forget_old_answers() -> int:
    """Delete every company's Idempotency-Keys older than they are kept. How many were deleted."""
    deleted, _by_model = IdempotencyKey.objects.using(SYSTEM).filter(created_at__lt=timezone.now() - KEEP).delete()
    return deleted
