"""What the overview needs of several rooms, in a handful of queries."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import BigIntegerField, Count, Max, Q, Sum
from django.db.models.functions import Cast

from deftmail.domains.models import Domain
from deftmail.domains.selectors import domains_of
from deftmail.kit.models import SyncState
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.selectors import mailboxes, needs_recovery_address, signing_in_themselves
from deftmail.sending.pages import BlockLine, block_lines
from deftmail.sending.selectors import active_blocks
from deftmail.tenants.access import company_of
from deftmail.tenants.actor import Actor
from deftmail.tenants.models import Plan, Tenant

NEARLY_FULL = 80  # per cent of a quota from which a mailbox is mentioned
SHOWN = 5
MIB = 1048576


@dataclass(frozen=True)
class Full:
    """A mailbox that fills up; `limit` in bytes."""

    mailbox: MailUser
    limit: int


@dataclass(frozen=True)
class Overview:
    """The state of a company at a glance.

    has_own: the actor reads a mailbox himself
    others: until somebody has read his mail: a mailbox to begin with, by signing in with its address
    """

    company: Tenant
    domains: list[Domain]
    domain_count: int
    mailbox_count: int
    used_bytes: int
    signed_in_ever: bool
    has_own: bool
    others: MailUser | None
    recent: list[MailUser]
    full: list[Full]
    broken: list[MailUser]
    needs_recovery: bool
    degraded: list[Domain] = field(default_factory=list)
    blocks: list[BlockLine] = field(default_factory=list)

    @property
    def first_domain(self) -> Domain | None:
        """The domain whose set-up is shown: the first that is not active, else the first."""
        return next((row for row in self.domains if row.status != Domain.Status.ACTIVE), next(iter(self.domains), None))

    @property
    def is_set_up(self) -> bool:
        """Whether the checklist has done its work."""
        active = any(domain.status == Domain.Status.ACTIVE for domain in self.domains)
        return active and self.mailbox_count > 0 and self.signed_in_ever


def overview(actor: Actor) -> Overview:
    """Call inside `tenant_tx`."""
    domains = list(domains_of(actor)[:50])
    found = mailboxes(actor.tenant_id)
    sums = found.order_by().aggregate(count=Count("pk"), used=Sum("used_bytes"), signed_in=Max("last_login_at"))
    nearly = Cast("quota_mb", BigIntegerField()) * MIB * NEARLY_FULL / 100  # int4 ends at 2 GB
    notable = list(found.filter(Q(used_bytes__gte=nearly) | Q(sync_state=SyncState.FAILED))[:20])
    return Overview(
        company=company_of(actor),
        domains=domains,
        domain_count=len(domains) if len(domains) < 50 else domains_of(actor).count(),
        mailbox_count=sums["count"],
        used_bytes=sums["used"] or 0,
        signed_in_ever=sums["signed_in"] is not None,
        has_own=actor.user_id is not None and found.filter(user_id=actor.user_id).exists(),
        others=signing_in_themselves(actor.tenant_id).first() if sums["signed_in"] is None else None,
        recent=list(found.filter(last_login_at__isnull=False).order_by("-last_login_at")[:SHOWN]),
        full=[
            Full(row, row.quota_mb * MIB)
            for row in notable
            if row.quota_mb and row.used_bytes * 100 >= row.quota_mb * MIB * NEARLY_FULL
        ],
        broken=[row for row in notable if row.sync_state == SyncState.FAILED],
        needs_recovery=actor.user_id is not None and needs_recovery_address(actor.tenant_id, actor.user_id),
        blocks=block_lines(active_blocks(actor.tenant_id)[:SHOWN], []),
        degraded=[domain for domain in domains if domain.degraded_since is not None],
    )


def plans_on_sale() -> list[Plan]:
    """The plans of the price page, and what is sold by agreement."""
    return list(Plan.objects.filter(Q(open_for_signup=True) | Q(price_cents__isnull=True)).order_by("rank"))
