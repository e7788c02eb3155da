"""What the engine should hold, of all companies: for the operator's comparison. Nothing here writes."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from deftmail.domains.models import Domain
from deftmail.engine.names import public_key_fingerprint
from deftmail.engine.port import FoundKey
from deftmail.kit.models import SyncState
from deftmail.kit.tenancy import SYSTEM
from deftmail.mailboxes.models import MailUser

UNDER_WAY = timedelta(minutes=15)
"""A change this young is not drift: its job is on the way."""


@dataclass(frozen=True, slots=True)
class WantedDomain:
    """A proven domain. `under_way`: a job for it is expected to run, so a difference says nothing yet."""

    id: UUID
    tenant_id: UUID
    name: str
    key: FoundKey
    under_way: bool


@dataclass(frozen=True, slots=True)
class WantedMailbox:
    """A mailbox row. `under_way` as above."""

    id: UUID
    tenant_id: UUID
    address: str
    display_name: str
    quota_mb: int | None
    state: str
    under_way: bool


def _under_way() -> Q:
    return Q(sync_state=SyncState.PENDING, updated_at__gt=timezone.now() - UNDER_WAY)


def wanted_domains() -> Iterator[WantedDomain]:
    """Every domain whose ownership is proven, by name."""
    young = set(Domain.objects.using(SYSTEM).filter(_under_way()).values_list("pk", flat=True))
    rows = (
        Domain.objects.using(SYSTEM)
        .filter(ownership_proven_at__isnull=False)
        .order_by("domain")
        .values_list("pk", "tenant_id", "domain", "dkim_selector", "dkim_public_key")
    )
    for pk, tenant_id, name, selector, public in rows.iterator():
        key = FoundKey(selector, public_key_fingerprint(b64decode(public)))
        yield WantedDomain(pk, tenant_id, name, key, pk in young)


def wanted_mailboxes(domain: str) -> list[WantedMailbox]:
    """Every mailbox of a proven domain."""
    rows = MailUser.objects.using(SYSTEM).filter(domain__domain=domain, domain__ownership_proven_at__isnull=False)
    young = set(rows.filter(_under_way()).values_list("pk", flat=True))
    values = rows.values_list("pk", "tenant_id", "email", "display_name", "quota_mb", "status")
    return [WantedMailbox(*value, value[0] in young) for value in values]


def is_wanted(name: str) -> bool:
    """Does any row stand for this address or domain name, in whatever state?"""
    if "@" in name:
        return MailUser.objects.using(SYSTEM).filter(email=name).exists()
    return Domain.objects.using(SYSTEM).filter(domain=name, ownership_proven_at__isnull=False).exists()


def holder_of(domain: str) -> UUID | None:
    """The company that has proven this domain."""
    rows = Domain.objects.using(SYSTEM).filter(domain=domain, ownership_proven_at__isnull=False)
    return rows.values_list("tenant_id", flat=True).first()
