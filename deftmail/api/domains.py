"""Domains over the API."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status

from deftmail.api.auth import ApiKeyAuth, actor_of
from deftmail.api.idempotency import idempotent
from deftmail.api.operations import BODY, errors
from deftmail.api.pagination import Cursor, Limit, page
from deftmail.api.schemas import DomainIn, DomainOut, DomainPage
from deftmail.domains import actions, records, selectors
from deftmail.domains.access import domain_for
from deftmail.domains.models import Domain
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants.policies import Action

router = Router(tags=["domains"])
reads = ApiKeyAuth(Action.DOMAIN_VIEW)
writes = ApiKeyAuth(Action.DOMAIN_MANAGE)


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


@router.post(
    "",
    response={201: DomainOut, **errors(*BODY, 409)},
    auth=writes,
    operation_id="create_domain",
    summary="Add a domain",
)
@idempotent
def create_domain(request: HttpRequest, body: DomainIn) -> Any:
    """Claims the name and answers with the four DNS records to publish.

    Nothing is reserved by a claim: ownership is proven by publishing exactly our DKIM key. 409 `domain-taken`: another
    company has proven it. The records are looked for by themselves from now on; see *Check now*.
    """
    return Status(201, shown(actions.add_domain(actor=actor_of(request), name=body.domain)))


@router.get(
    "", response={200: DomainPage, **errors(422)}, auth=reads, operation_id="list_domains", summary="List domains"
)
def list_domains(request: HttpRequest, cursor: Cursor = None, limit: Limit = 50) -> DomainPage:
    """By name, with their records and the last result of each check."""
    actor = actor_of(request)
    with tenant_tx(actor.tenant_id):
        rows, following = page(selectors.domains_of(actor), "domain", cursor=cursor, limit=limit)
    return DomainPage(items=[shown(row) for row in rows], next=following)


@router.get(
    "/{uuid:domain_id}",
    response={200: DomainOut, **errors(404)},
    auth=reads,
    operation_id="get_domain",
    summary="One domain",
)
def get_domain(request: HttpRequest, domain_id: UUID) -> DomainOut:
    """With its records and the last result of each check."""
    actor = actor_of(request)
    with tenant_tx(actor.tenant_id):
        domain = domain_for(actor, domain_id)
    return shown(domain)


@router.post(
    "/{uuid:domain_id}/verify",
    response={200: DomainOut, **errors(404)},
    auth=writes,
    operation_id="verify_domain",
    summary="Check now",
)
@idempotent
def verify_domain(request: HttpRequest, domain_id: UUID) -> Any:
    """Runs the four checks now and answers with the domain and what they found in `checks`.

    When all pass the domain becomes `verified`, and `active` a moment later, as soon as the mail engine is configured.
    """
    return Status(200, shown(actions.check_domain(actor=actor_of(request), domain_id=domain_id)))


@router.delete(
    "/{uuid:domain_id}",
    response={204: None, **errors(404, 409)},
    auth=writes,
    operation_id="delete_domain",
    summary="Delete a domain",
)
def delete_domain(request: HttpRequest, domain_id: UUID) -> Any:
    """With its keys and routes; the name is free at once.

    Refused with 409 `domain-holds-addresses` (and the list in `addresses`) while it holds mailboxes: delete them first.
    """
    actor = actor_of(request)
    with tenant_tx(actor.tenant_id):
        domain = domain_for(actor, domain_id)
        actions.delete_domain(actor=actor, domain_id=domain.pk, confirm=domain.domain)
    return Status(204, None)
