"""Asking for the engine to be made as a domain's row says."""

from __future__ import annotations

from uuid import UUID

from deftmail.domains import tasks
from deftmail.domains.access import domain_for
from deftmail.domains.models import Domain
from deftmail.engine import sync
from deftmail.kit.jobs import enqueue
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants import audit
from deftmail.tenants.actor import Actor
from deftmail.tenants.policies import Action


def request_sync(domain: Domain) -> None:
    """Mark the row as changed for the engine and enqueue the job, in the caller's transaction."""
    sync.request_sync(Domain.objects.filter(tenant_id=domain.tenant_id, pk=domain.pk))
    domain.refresh_from_db(fields=["generation", "sync_state", "sync_error", "sync_attempts"])
    enqueue(
        tasks.sync_domain_job,
        lock=sync.domain_lock(domain.domain),
        tenant_id=str(domain.tenant_id),
        domain_id=str(domain.pk),
    )


def retry_sync(*, actor: Actor, domain_id: UUID | str) -> Domain:
    """Try again to configure the domain in the engine. Nothing to do before ownership is proven. Raises NotFound.

    Also in a suspended company: it changes nothing that was wanted, and receiving goes on.
    """
    with tenant_tx(actor.tenant_id):
        domain = domain_for(actor, domain_id, need=Action.DOMAIN_MANAGE, for_update=True)
        if domain.is_proven:
            request_sync(domain)
            audit.record(actor, "domain.sync_retried", domain)
    return domain
