"""A company gives a name up."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from deftmail.domains import errors, tasks
from deftmail.domains.access import domain_for
from deftmail.domains.hooks import domain_address_sources, domain_deletion_hooks
from deftmail.domains.models import Domain
from deftmail.engine.sync import domain_lock
from deftmail.kit.jobs import enqueue
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailproto.errors import DomainError
from deftmail.mailproto.names import parse_domain
from deftmail.tenants import audit
from deftmail.tenants.actor import Actor
from deftmail.tenants.errors import CompanySuspended
from deftmail.tenants.models import Tenant
from deftmail.tenants.policies import Action


def addresses_in(domain: Domain) -> list[str]:
    """The addresses that would be destroyed with the domain, by name. Call inside `tenant_tx`."""
    return sorted({address for source in domain_address_sources for address in source(domain)})


def delete_domain(
    *, actor: Actor, domain_id: UUID | str, confirm: str, addresses: Collection[str] = frozenset()
) -> None:
    """Delete a domain with its keys, routes and named mailboxes; the name is free at once.

    confirm: the domain's name as typed, in either spelling
    addresses: every mailbox that may be destroyed with it; one that is not named refuses the whole

    Raises ConfirmationMismatch, DomainHoldsAddresses, CompanySuspended, NotFound, Forbidden.
    """
    named = frozenset(address.strip().lower() for address in addresses)
    with tenant_tx(actor.tenant_id):
        # The company's row first, as in add: mailboxes are made under the same lock, so none appears in between.
        tenant = Tenant.objects.select_for_update(no_key=True).get(pk=actor.tenant_id)
        domain = domain_for(actor, domain_id, need=Action.DOMAIN_MANAGE, for_update=True)
        if tenant.status == Tenant.Status.SUSPENDED:
            raise CompanySuspended
        if _typed(confirm) != domain.domain:
            raise errors.ConfirmationMismatch
        held = addresses_in(domain)
        if unnamed := [address for address in held if address not in named]:
            # What a key may not list, a refusal does not tell it either.
            raise errors.DomainHoldsAddresses(unnamed if actor.can(Action.MAILBOX_VIEW) else ())
        if held:
            actor.require(Action.MAILBOX_MANAGE)  # the right to domains alone destroys no mail
        for hook in domain_deletion_hooks:
            hook(actor, domain, named)
        audit.record(actor, "domain.deleted", domain, before={"status": domain.status, "addresses": held})
        name, row_id, was_configured = domain.domain, domain.pk, domain.is_proven
        domain.delete()
        if was_configured:
            enqueue(tasks.remove_domain_job, lock=domain_lock(name), name=name, domain_id=str(row_id))


def _typed(text: str) -> str:
    try:
        return parse_domain(text).ascii
    except DomainError:
        return ""
