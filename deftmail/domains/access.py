"""The only door to a company's domain. Call inside `tenant_tx`."""

from __future__ import annotations

from uuid import UUID

from deftmail.domains.models import Domain
from deftmail.kit.errors import NotFound
from deftmail.tenants.actor import Actor
from deftmail.tenants.policies import Action


def domain_for(
    actor: Actor, domain_id: UUID | str, *, need: Action = Action.DOMAIN_VIEW, for_update: bool = False
) -> Domain:
    """The actor's domain, locked when `for_update`. Raises Forbidden, or NotFound for absent and foreign alike."""
    actor.require(need)
    domains = Domain.objects.filter(tenant_id=actor.tenant_id, pk=_as_uuid(domain_id))
    domain = (domains.select_for_update(no_key=True) if for_update else domains).first()
    if domain is None:
        raise NotFound
    return domain


def _as_uuid(value: UUID | str) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except ValueError:
        raise NotFound from None
