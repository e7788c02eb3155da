"""Reads across companies, as `deftmail_system`: an address arrives at a door before its company is known.

Used by the gate (every sign-in and every message) and by jobs that walk all companies. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from deftmail.kit.tenancy import SYSTEM
from deftmail.mailboxes.models import MailUser


@dataclass(frozen=True, slots=True)
class Account:
    """A mailbox as the doors need it: who, in which state, of which company and domain.

    is_ready, domain_is_ready: the engine holds it (it was synced at least once)
    """

    mailbox_id: UUID
    tenant_id: UUID
    email: str
    status: str
    status_reason: str
    refuse_when_disabled: bool
    is_ready: bool
    tenant_status: str
    domain: str
    domain_status: str
    domain_is_ready: bool
    dkim_selector: str
    password_hash: str = field(repr=False)
    last_login_at: datetime | None = None
    quota_mb: int | None = None
    used_bytes: int = 0
    full_since: datetime | None = None

    @property
    def is_full(self) -> bool:
        """Whether no more mail fits, by the last measurement (`MailUser.is_full`)."""
        return self.quota_mb is not None and self.used_bytes >= self.quota_mb * 1024 * 1024

    def signed_in_within(self, seconds: int) -> bool:
        """Whether the last recorded sign-in is that recent."""
        return self.last_login_at is not None and timezone.now() - self.last_login_at < timedelta(seconds=seconds)


_FIELDS = (
    "id",
    "tenant_id",
    "email",
    "status",
    "status_reason",
    "refuse_when_disabled",
    "synced_at",
    "tenant__status",
    "domain__domain",
    "domain__status",
    "domain__synced_at",
    "domain__dkim_selector",
    "password_hash",
    "last_login_at",
    "quota_mb",
    "used_bytes",
    "full_since",
)


def account_by_address(address: str) -> Account | None:
    """The mailbox of exactly this address (lower case, A-labels), or None. One indexed query."""
    row = MailUser.objects.using(SYSTEM).filter(email=address).values_list(*_FIELDS).first()
    if row is None:
        return None
    (mailbox_id, tenant_id, email, status, reason, refuse, synced_at, tenant, *rest) = row
    domain, domain_status, domain_synced_at, selector, password_hash, last_login_at, quota_mb, used, full_since = rest
    return Account(
        mailbox_id=mailbox_id,
        tenant_id=tenant_id,
        email=email,
        status=status,
        status_reason=reason,
        refuse_when_disabled=refuse,
        is_ready=synced_at is not None,
        tenant_status=tenant,
        domain=domain,
        domain_status=domain_status,
        domain_is_ready=domain_synced_at is not None,
        dkim_selector=selector,
        password_hash=password_hash,
        last_login_at=last_login_at,
        quota_mb=quota_mb,
        used_bytes=used,
        full_since=full_since,
    )


def ready_mailboxes(batch: int = 500) -> Iterator[list[tuple[UUID, UUID, str]]]:
    """All mailboxes the engine holds as (company, id, address), in batches ordered by company and address."""
    rows = (
        MailUser.objects.using(SYSTEM)
        .filter(synced_at__isnull=False)
        .order_by("tenant_id", "email")
        .values_list("tenant_id", "id", "email")
    )
    last: tuple[UUID, str] | None = None
    while True:
        page = rows if last is None else rows.extra(where=["(tenant_id, email) > (%s, %s)"], params=list(last))
        chunk = list(page[:batch])
        if not chunk:
            return
        yield chunk
        last = (chunk[-1][0], chunk[-1][2])
