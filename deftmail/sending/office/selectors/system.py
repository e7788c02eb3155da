"""Reads across companies, as `deftmail_system`, for the operator's pages. Nothing here writes."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.timezone import now

from deftmail.kit.errors import NotFound
from deftmail.kit.tenancy import SYSTEM
from deftmail.sending.models import Block, ReviewCase
from deftmail.tenants.models import Tenant


def cases(*, is_open: bool, search: str = "") -> QuerySet[ReviewCase]:
    """The queue: open cases oldest first, or decided ones newest first. `search`: company, owner or mailbox."""
    rows = ReviewCase.objects.using(SYSTEM).select_related("tenant", "mail_user", "block", "block__domain")
    rows = rows.defer("mail_user__password_hash", "block__domain__dkim_private_key")
    if search:
        rows = rows.filter(
            Q(tenant__company_name__icontains=search)
            | Q(tenant__owner_email__icontains=search)
            | Q(mail_user__email__icontains=search)
        )
    if is_open:
        return rows.filter(state=ReviewCase.State.OPEN).order_by("created_at", "id")
    return rows.exclude(state=ReviewCase.State.OPEN).order_by("-decided_at", "id")


def open_count() -> int:
    """How many cases wait."""
    return ReviewCase.objects.using(SYSTEM).filter(state=ReviewCase.State.OPEN).count()


def case_by_id(case_id: UUID) -> ReviewCase:
    """One case of any company. Raises NotFound."""
    rows = ReviewCase.objects.using(SYSTEM).select_related("tenant", "mail_user", "block")
    case = rows.filter(pk=case_id).first()
    if case is None:
        raise NotFound
    return case


def companies(search: str = "") -> QuerySet[Tenant]:
    """All companies by name with `blocks`, the number of blocks in force."""
    moment = now()
    in_force = (
        Block.objects.using(SYSTEM)
        .filter(tenant_id=OuterRef("pk"), lifted_at__isnull=True)
        .filter(Q(ends_at__isnull=True) | Q(ends_at__gt=moment))
        .order_by()
        .values("tenant_id")
        .annotate(n=Count("pk"))
        .values("n")
    )
    rows = Tenant.objects.using(SYSTEM).select_related("plan").annotate(blocks=Coalesce(Subquery(in_force), 0))
    if search:
        rows = rows.filter(Q(company_name__icontains=search) | Q(owner_email__icontains=search))
    return rows.order_by("company_name", "id")


def company_by_id(tenant_id: UUID) -> Tenant:
    """One company. Raises NotFound."""
    company = Tenant.objects.using(SYSTEM).select_related("plan").filter(pk=tenant_id).first()
    if company is None:
        raise NotFound
    return company


def company_of_block(block_id: UUID) -> UUID:
    """Whose block it is. Raises NotFound."""
    found = Block.objects.using(SYSTEM).filter(pk=block_id).values_list("tenant_id", flat=True).first()
    if found is None:
        raise NotFound
    return found
