"""Facts that doors and jobs write down: sign-ins and how full a mailbox is. Not acts of a person, so not audited."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from deftmail.kit.jobs import enqueue
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes import fullness
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
    """Store the bytes the engine holds per mailbox, since when one is full, and tell who fills up (80, 95, 100 %).

    Only rows that differ are written; returns how many.
    """
    moment = timezone.now()
    changed: list[MailUser] = []
    with tenant_tx(tenant_id):
        # Locked: two readers of the same crossing (the clock and a door) must tell it once.
        rows = (
            MailUser.objects.select_for_update(no_key=True)
            .filter(tenant_id=tenant_id, pk__in=list(used))
            .only("id", "tenant_id", "used_bytes", "used_at", "quota_mb", "full_since", "quota_told")
            .order_by("id")
        )
        for row in rows:
            before = (row.used_bytes, row.full_since, row.quota_told)
            row.used_bytes = used[row.pk]
            crossed = fullness.follow(row, moment)
            if before != (row.used_bytes, row.full_since, row.quota_told) or row.used_at is None:
                row.used_at = moment
                changed.append(row)
            if crossed:
                tell_filling(row, crossed)
        MailUser.objects.bulk_update(changed, ["used_bytes", "used_at", "full_since", "quota_told"], batch_size=500)
    return len(changed)


def tell_filling(mailbox: MailUser, level: int) -> None:
    """Enqueue the mail about a level just crossed, in the caller's transaction: to its person and to the owners."""
    from deftmail.mailboxes.tasks import tell_filling_job  # tasks need the actions in turn

    enqueue(tell_filling_job, tenant_id=str(mailbox.tenant_id), mailbox_id=str(mailbox.pk), level=level)
