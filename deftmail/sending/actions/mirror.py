"""What Redis counted, written into `rate_limits`, so that a Redis that lost everything can be filled again."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from uuid import UUID

from django.utils.timezone import now

from deftmail.domains.models import Domain
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.models import MailUser
from deftmail.sending import counters
from deftmail.sending.limits import MIRRORED, Limit, Whose
from deftmail.sending.models import RateLimit
from deftmail.tenants.models import Tenant

_KEY = ["tenant", "mail_user", "domain", "limit_type", "hour"]
_Waiting = list[tuple[str, float, dict[str, int]]]


def mirror() -> int:
    """Write what was charged since the last time; the number of counters written. Raises what Redis and PostgreSQL
    raise; what was not written stays waiting."""
    waiting = counters.waiting_for_mirror()
    by_tenant: dict[str, _Waiting] = {}
    for each in waiting:
        by_tenant.setdefault(each[0].split("|")[1], []).append(each)
    for tenant_id, theirs in by_tenant.items():
        _write(UUID(tenant_id), theirs)
        counters.mirrored((member, stamp) for member, stamp, _buckets in theirs)
    return len(waiting)


def _write(tenant_id: UUID, waiting: _Waiting) -> None:
    with tenant_tx(tenant_id):
        company = Tenant.objects.filter(pk=tenant_id).first()
        if company is None:
            return
        subjects: dict[str, set[UUID]] = {"m": set(), "d": set()}
        for member, _stamp, _buckets in waiting:
            whose, _tenant, pk = member.split("|")
            subjects[whose].add(UUID(pk))
        there = {
            "m": set(MailUser.objects.filter(pk__in=subjects["m"]).values_list("pk", flat=True)),
            "d": set(Domain.objects.filter(pk__in=subjects["d"]).values_list("pk", flat=True)),
        }
        rows = []
        for member, _stamp, buckets in waiting:
            whose, _tenant, pk = member.split("|")
            if UUID(pk) in there[whose]:
                rows += _rows(company, whose, UUID(pk), buckets)
        RateLimit.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=_KEY,
            update_fields=["current_count", "max_limit", "reset_at", "updated_at"],
        )
        RateLimit.objects.filter(tenant_id=tenant_id, reset_at__lt=now()).delete()


def _rows(company: Tenant, whose: str, pk: UUID, buckets: dict[str, int]) -> list[RateLimit]:
    """The running hour and the one before: older ones do not change any more."""
    running = int(time.time() // 3600)
    return [
        _row(company, limit, whose, pk, hour, buckets.get(f"{limit.code}:{hour}", 0))
        for limit in MIRRORED
        if limit.whose is (Whose.MAILBOX if whose == "m" else Whose.DOMAIN)
        for hour in (running - 1, running)
    ]


def _row(company: Tenant, limit: Limit, whose: str, pk: UUID, number: int, count: int) -> RateLimit:
    hour = datetime.fromtimestamp(number * 3600, UTC)
    return RateLimit(
        tenant=company,
        mail_user_id=pk if whose == "m" else None,
        domain_id=pk if whose == "d" else None,
        limit_type=limit.name,
        hour=hour,
        current_count=count,
        max_limit=getattr(company, limit.column) or 0,
        reset_at=counters.leaves_at(hour),
    )
