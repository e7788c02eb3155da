"""Facts that doors and jobs write down: sign-ins and how full a mailbox is. Not acts of a person, so not audited."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.models import MailUser

SIGN_IN_EVERY = timedelta(minutes=1)
"""A mail program signs in many times a minute; the column is for people."""


def record_sign_in(tenant_id: UUID, mailbox_id: UUID) -> bool:
    """Note that the mailbox was signed in to now; at most once a minute. Says whether the row was written."""
    moment = timezone.now()
    with tenant_tx(tenant_id):
        return bool(
            MailUser.objects.filter(tenant_id=tenant_id, pk=mailbox_id)
            .filter(Q(last_login_at__isnull=True) | Q(last_login_at__lt=moment - SIGN_IN_EVERY))
            .update(last_login_at=moment)
        )


def record_usage(tenant_id: UUID, used: Mapping[UUID, int]) -> int:
    """Store the bytes the engine holds per mailbox. Only rows that differ are written; returns how many."""
    moment = timezone.now()
    changed: list[MailUser] = []
    with tenant_tx(tenant_id):
        rows = MailUser.objects.filter(tenant_id=tenant_id, pk__in=list(used)).only("id", "used_bytes", "used_at")
        for row in rows:
            if row.used_bytes != used[row.pk] or row.used_at is None:
                row.used_bytes, row.used_at = used[row.pk], moment
                changed.append(row)
        MailUser.objects.bulk_update(changed, ["used_bytes", "used_at"], batch_size=500)
    return len(changed)
