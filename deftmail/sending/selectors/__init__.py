"""Reads of one company: its blocks. Call inside `tenant_tx`."""

from __future__ import annotations

from uuid import UUID

from django.db.models import OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils.timezone import now

from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.selectors import mailboxes
from deftmail.sending.models import Block, RateLimit


def active_blocks(tenant_id: UUID) -> QuerySet[Block]:
    """What stops sending in this company now, newest first."""
    moment = now()
    return (
        Block.objects.filter(tenant_id=tenant_id, lifted_at__isnull=True, starts_at__lte=moment)
        .filter(Q(ends_at__isnull=True) | Q(ends_at__gt=moment))
        .select_related("mail_user", "domain")
    )


SORTS = {"address": ("email",), "used": ("sent", "email")}
"""What the list may be sorted by: word in the URL → order. A leading `-` in the URL reverses it."""
DEFAULT_SORT = "-used"


def sorted_mailboxes(tenant_id: UUID, search: str, sort: str) -> QuerySet[MailUser]:
    """The company's mailboxes with `sent`, recipients of the last 24 hours as the mirror knows them (some seconds old:
    for the order alone; what is shown is read from the counters)."""
    sent = (
        RateLimit.objects.filter(mail_user_id=OuterRef("pk"), limit_type="mailbox_day", reset_at__gt=now())
        .order_by()
        .values("mail_user_id")
        .annotate(total=Sum("current_count"))
        .values("total")
    )
    found = mailboxes(tenant_id, search).annotate(sent=Coalesce(Subquery(sent), 0))
    order = SORTS.get(sort.removeprefix("-"), SORTS["used"])
    found = found.order_by(*order)
    return found.reverse() if sort.startswith("-") else found
