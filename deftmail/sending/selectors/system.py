"""Reads across companies: what a door must know before it knows the company, and what Redis is filled from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.utils.timezone import now

from deftmail.domains.models import Domain
from deftmail.kit.tenancy import SYSTEM
from deftmail.mailboxes.models import MailUser
from deftmail.sending.decisions import BlockFact
from deftmail.sending.limits import COLUMNS, LIMITS, Subject
from deftmail.sending.models import Block, RateLimit


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


def near_limit(percent: int = 80) -> list[tuple[UUID, UUID, str, int, int]]:
    """(company, mailbox, limit, used, maximum) of mailboxes that used so much of a day's limit, as the mirror knows."""
    names = {limit.name: limit.column for limit in LIMITS if limit.name in ("mailbox_day", "first_day")}
    found: dict[tuple[UUID, UUID, str], int] = {}
    rows = RateLimit.objects.using(SYSTEM).filter(
        reset_at__gt=now(), limit_type__in=names, mail_user__isnull=False, current_count__gt=0
    )
    for tenant_id, mail_user_id, name, count in rows.values_list(
        "tenant_id", "mail_user_id", "limit_type", "current_count"
    ):
        key = (tenant_id, mail_user_id, name)
        found[key] = found.get(key, 0) + count
    maxima = {
        row["pk"]: row
        for row in MailUser.objects.using(SYSTEM)
        .filter(pk__in={mailbox for _tenant, mailbox, _name in found})
        .values("pk", *(f"tenant__{column}" for column in names.values()))
    }
    near = []
    for (tenant_id, mailbox, name), used in found.items():
        most = maxima.get(mailbox, {}).get(f"tenant__{names[name]}")
        if most and used * 100 >= most * percent:
            near.append((tenant_id, mailbox, name, used, most))
    return near
