"""Lists of a company's domains. Call inside `tenant_tx`."""

from __future__ import annotations

import contextlib
from uuid import UUID

from django.db.models import Q, QuerySet

from deftmail.domains.errors import DomainLimitReached
from deftmail.domains.models import Domain
from deftmail.mailproto.errors import DomainError
from deftmail.mailproto.names import parse_domain
from deftmail.tenants.actor import Actor
from deftmail.tenants.models import Membership, Role, Tenant
from deftmail.tenants.policies import Action

SORTS = {"name": ("domain", "id"), "status": ("status", "domain", "id"), "added": ("-created_at", "-id")}
"""What a list may be sorted by: word in the URL → order. A leading `-` in the URL reverses it."""
DEFAULT_SORT = "name"


def domains_of(actor: Actor, *, search: str = "", status: str = "", sort: str = DEFAULT_SORT) -> QuerySet[Domain]:
    """The company's domains; `search` matches either spelling of a name, `status` is a status or `degraded`."""
    actor.require(Action.DOMAIN_VIEW)
    domains = Domain.objects.filter(tenant_id=actor.tenant_id).defer("dkim_private_key")
    if text := search.replace("\0", "").strip()[:253]:  # PostgreSQL text holds no NUL
        matches = Q(domain__icontains=text) | Q(domain_unicode__icontains=text)
        with contextlib.suppress(DomainError):  # a part of a name is a fine search
            matches |= Q(domain__icontains=parse_domain(text).ascii)
        domains = domains.filter(matches)
    if status == "degraded":
        domains = domains.filter(degraded_since__isnull=False)
    elif status in Domain.Status.values:
        domains = domains.filter(status=status)
    order = SORTS.get(sort.removeprefix("-"), SORTS[DEFAULT_SORT])
    domains = domains.order_by(*order)
    return domains.reverse() if sort.startswith("-") else domains


def proven_domains(actor: Actor) -> QuerySet[Domain]:
    """The domains in which mailboxes can be made, by name."""
    actor.require(Action.DOMAIN_VIEW)
    return (
        Domain.objects.filter(tenant_id=actor.tenant_id, ownership_proven_at__isnull=False)
        .defer("dkim_private_key")
        .order_by("domain")
    )


def domain_count(actor: Actor) -> int:
    """How many domains count against the company's ceiling."""
    return Domain.objects.filter(tenant_id=actor.tenant_id).count()


def no_room(company: Tenant) -> DomainLimitReached | None:
    """Why the company can add no further domain; None while it can. Final once `company` is locked."""
    limit = company.max_domains
    if limit is None or Domain.objects.filter(tenant_id=company.pk).count() < limit:
        return None
    return DomainLimitReached(limit)


def owner_addresses(tenant_id: UUID) -> list[str]:
    """Where the company's owners are told things: their address, and a proven recovery address outside the company."""
    return _addresses(tenant_id, Role.OWNER)


def manager_addresses(tenant_id: UUID) -> list[str]:
    """The same of owners and admins."""
    return _addresses(tenant_id, Role.OWNER, Role.ADMIN)


def _addresses(tenant_id: UUID, *roles: Role) -> list[str]:
    people = Membership.objects.filter(tenant_id=tenant_id, role__in=roles, user__is_active=True).select_related("user")
    found = []
    for membership in people.order_by("created_at", "id"):
        found.append(membership.user.email)
        if membership.user.recovery_email_verified_at and membership.user.recovery_email:
            found.append(membership.user.recovery_email)
    # Whoever lost his address to another company reads nothing there (tenants.displaced).
    return [address for address in dict.fromkeys(found) if not address.endswith(".invalid")]
