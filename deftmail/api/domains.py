"""Domains over the API."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router

from deftmail.api.auth import actor_of
from deftmail.api.idempotency import creates
from deftmail.api.pagination import Limit, page
from deftmail.api.schemas import DomainIn, DomainOut, DomainPage, Problem
from deftmail.domains import actions, records, selectors
from deftmail.domains.access import domain_for
from deftmail.domains.models import Domain
from deftmail.kit.tenancy import tenant_tx

router = Router(tags=["domains"])
ERRORS = {frozenset({400, 401, 403, 404, 409, 413, 422, 429, 503}): Problem}


def shown(domain: Domain) -> DomainOut:
    """The domain as the API shows it."""
    return DomainOut.model_validate(
        {
            "id": domain.pk,
            "domain": domain.domain,
            "status": domain.status,
            "ownership_proven": domain.is_proven,
            "degraded": domain.degraded_since is not None,
            "provisioning": domain.sync_state,
            "provisioning_error": domain.sync_error,
            "dns_records": [record.to_api() for record in records.records_of(domain)],
            "checks": [check.to_api() for check in records.checks_of(domain)],
            "last_checked_at": domain.last_verified_at,
            "created_at": domain.created_at,
        }
    )


@router.post("", response={201: DomainOut, **ERRORS}, operation_id="create_domain", summary="Add a domain")
@creates
def create_domain(request: HttpRequest, body: DomainIn) -> Any:
    """Claims the name and returns the records to publish. Ownership is proven by publishing exactly our DKIM key."""
    return 201, shown(actions.add_domain(actor=actor_of(request), name=body.domain))


@router.get("", response={200: DomainPage, **ERRORS}, operation_id="list_domains", summary="List domains")
def list_domains(request: HttpRequest, cursor: str | None = None, limit: Limit = 50) -> DomainPage:
    actor = actor_of(request)
    with tenant_tx(actor.tenant_id):
        rows, following = page(selectors.domains_of(actor), "domain", cursor=cursor, limit=limit)
        return DomainPage(items=[shown(row) for row in rows], next=following)


@router.get("/{uuid:domain_id}", response={200: DomainOut, **ERRORS}, operation_id="get_domain", summary="One domain")
def get_domain(request: HttpRequest, domain_id: UUID) -> DomainOut:
    """With its records and the last result of each check."""
    actor = actor_of(request)
    with tenant_tx(actor.tenant_id):
        return shown(domain_for(actor, domain_id))


@router.post(
    "/{uuid:domain_id}/verify", response={200: DomainOut, **ERRORS}, operation_id="verify_domain", summary="Check now"
)
def verify_domain(request: HttpRequest, domain_id: UUID) -> DomainOut:
    """Runs the four checks now and answers with what they found."""
    return shown(actions.check_domain(actor=actor_of(request), domain_id=domain_id))


@router.delete(
    "/{uuid:domain_id}", response={204: None, **ERRORS}, operation_id="delete_domain", summary="Delete a domain"
)
def delete_domain(request: HttpRequest, domain_id: UUID) -> Any:
    """Refused (409) while the domain holds mailboxes: delete them first."""
    actor = actor_of(request)
    with tenant_tx(actor.tenant_id):
        domain = domain_for(actor, domain_id)
        actions.delete_domain(actor=actor, domain_id=domain.pk, confirm=domain.domain)
    return 204, None
