"""Reads that cross companies: who holds a name, whose look is due. A customer learns a yes or no at most."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import connections
from django.db.models import F, Q

from deftmail.domains.models import Domain
from deftmail.kit.tenancy import SYSTEM

LEASE = timedelta(minutes=10)
"""A claimed look is due again after this long: a job that died, or a row that kills jobs, neither blocks nor spins."""


class DomainRef(NamedTuple):
    """A domain and its company, for a job."""

    tenant_id: UUID
    domain_id: UUID


class Claim(NamedTuple):
    """What the gate needs to know of one claim of a name."""

    tenant_id: UUID
    domain_id: UUID
    status: str
    proven: bool


def is_held_by_another(name: str, tenant_id: UUID) -> bool:
    """Whether a company other than `tenant_id` has proven `name` (A-labels)."""
    return (
        Domain.objects.using(SYSTEM)
        .filter(domain=name, ownership_proven_at__isnull=False)
        .exclude(tenant_id=tenant_id)
        .exists()
    )


def claims_of(name: str) -> list[Claim]:
    """Every claim of `name`, the proven one first: the gate answers 450 for a name that is claimed and not active."""
    rows = (
        Domain.objects.using(SYSTEM)
        .filter(domain=name.lower().rstrip("."))
        .order_by(F("ownership_proven_at").asc(nulls_last=True), "created_at")
        .values_list("tenant_id", "pk", "status", "ownership_proven_at")[:50]
    )
    return [Claim(tenant, pk, status, proven is not None) for tenant, pk, status, proven in rows]


def claims_not_looked_at_since(name: str, moment: datetime) -> list[DomainRef]:
    """The claims of `name` that are not active and were not looked at since `moment`; at most 20, oldest first."""
    rows = (
        Domain.objects.using(SYSTEM)
        .filter(domain=name.lower().rstrip("."))
        .exclude(status=Domain.Status.ACTIVE)
        .filter(Q(last_verified_at__isnull=True) | Q(last_verified_at__lt=moment))
        .order_by(F("last_verified_at").asc(nulls_first=True))
        .values_list("tenant_id", "pk")[:20]
    )
    return [DomainRef(*row) for row in rows]


def claim_due_looks(now: datetime, *, limit: int = 200) -> list[DomainRef]:
    """Take up to `limit` domains whose look is due, each once however many workers ask, and lease them.

    The lease is written before any work: a row whose look always fails is pushed into the future, not tried in a loop.
    """
    with connections[SYSTEM].cursor() as cursor:
        cursor.execute(
            """
            UPDATE domains SET next_check_at = %s WHERE id IN (
                SELECT d.id FROM domains d JOIN tenants t ON t.id = d.tenant_id
                WHERE d.next_check_at <= %s
                  AND (t.status = 'active' OR t.status = 'suspended' AND d.status = 'active')
                ORDER BY d.next_check_at LIMIT %s FOR UPDATE OF d SKIP LOCKED
            ) RETURNING tenant_id, id
            """,
            [now + LEASE, now, limit],
        )
        return [DomainRef(*row) for row in cursor.fetchall()]
