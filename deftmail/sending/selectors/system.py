"""Reads across companies: what a door must know before it knows the company, and what Redis is filled from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils.timezone import now

from deftmail.domains.models import Domain
from deftmail.kit.tenancy import SYSTEM
from deftmail.mailboxes.models import MailUser
from deftmail.sending.decisions import BlockFact
from deftmail.sending.limits import BY_NAME, COLUMNS, Subject, Whose
from deftmail.sending.models import Block, RateLimit
from deftmail.tenants.models import Tenant


def subject_of(mailbox_id: UUID) -> Subject | None:
    """Whose counters a mailbox's mail is charged to; None when it is gone."""
    row = (
        MailUser.objects.using(SYSTEM)
        .filter(pk=mailbox_id)
        .values_list("tenant_id", "domain_id", *(f"tenant__{column}" for column in COLUMNS))
        .first()
    )
    if row is None:
        return None
    tenant_id, domain_id, *maxima = row
    own = Domain.objects.using(SYSTEM).filter(tenant_id=tenant_id, status=Domain.Status.ACTIVE)
    return Subject(
        tenant_id=str(tenant_id),
        mailbox_id=str(mailbox_id),
        domain_id=str(domain_id),
        maxima=tuple(maxima),
        own_domains=frozenset(own.values_list("domain", flat=True)),
    )


def mailbox_by_address(address: str) -> MailUser | None:
    """The row of a mailbox with its company, for an operator's command."""
    return MailUser.objects.using(SYSTEM).select_related("tenant").filter(email=address).first()


def block_on(subject: Subject) -> BlockFact | None:
    """What stops this mailbox now; of several the one that lasts longest."""
    rows = (
        _active()
        .filter(tenant_id=subject.tenant_id)
        .filter(
            Q(mail_user_id=subject.mailbox_id)
            | Q(domain_id=subject.domain_id)
            | Q(mail_user__isnull=True, domain__isnull=True)
        )
        .order_by(F("ends_at").desc(nulls_first=True))
    )
    block = rows.first()
    if block is None:
        return None
    whose = "mailbox" if block.mail_user_id else "domain" if block.domain_id else "company"
    return BlockFact(whose=whose, reason=block.reason, ends_at=block.ends_at)


def active_blocks_everywhere() -> QuerySet[Block]:
    """Every block in force, newest first, for the back office."""
    return _active().select_related("tenant", "mail_user", "domain")


def _active() -> QuerySet[Block]:
    moment = now()
    return Block.objects.using(SYSTEM).filter(
        Q(ends_at__isnull=True) | Q(ends_at__gt=moment), lifted_at__isnull=True, starts_at__lte=moment
    )


def mirror_rows(since: datetime) -> Iterator[RateLimit]:
    """Every row of the mirror that still counts: its hour began at `since` or later."""
    return RateLimit.objects.using(SYSTEM).filter(hour__gte=since).iterator(chunk_size=2000)


def near_limit(percent: int = 80) -> dict[tuple[UUID, Whose, UUID], list[str]]:
    """(company, whose, mailbox or domain) that used so much of a day's limit, as the mirror knows: which limits."""
    used: dict[tuple[UUID, str, UUID], int] = {}
    rows = (
        RateLimit.objects.using(SYSTEM)
        .filter(reset_at__gt=now(), current_count__gt=0)
        .values_list("tenant_id", "limit_type", Coalesce("mail_user_id", "domain_id"), "current_count")
    )
    for tenant_id, name, pk, count in rows:
        key = (tenant_id, name, pk)
        used[key] = used.get(key, 0) + count
    companies = Tenant.objects.using(SYSTEM).in_bulk({tenant_id for tenant_id, _name, _pk in used})
    near: dict[tuple[UUID, Whose, UUID], list[str]] = {}
    for (tenant_id, name, pk), count in sorted(used.items()):
        limit = BY_NAME.get(name)
        most = getattr(companies.get(tenant_id), limit.column, None) if limit is not None else None
        if limit is not None and most and count * 100 >= most * percent:
            near.setdefault((tenant_id, limit.whose, pk), []).append(name)
    return near
