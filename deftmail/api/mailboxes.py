"""Mailboxes over the API."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router
from pydantic import Field

from deftmail.api.auth import actor_of
from deftmail.api.domains import ERRORS
from deftmail.api.idempotency import creates
from deftmail.api.pagination import Limit, page
from deftmail.api.schemas import MailboxChange, MailboxIn, MailboxOut, MailboxPage, PasswordIn
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes import actions, selectors
from deftmail.mailboxes.access import mailbox_for
from deftmail.mailboxes.models import MailUser
from deftmail.tenants.policies import Action

router = Router(tags=["mailboxes"])


def shown(mailbox: MailUser) -> MailboxOut:
    """The mailbox as the API shows it."""
    return MailboxOut.model_validate(
        {
            "id": mailbox.pk,
            "email": mailbox.email,
            "display_name": mailbox.display_name,
            "status": mailbox.status,
            "provisioning": mailbox.sync_state,
            "provisioning_error": mailbox.sync_error,
            "quota_mb": mailbox.quota_mb,
            "used_quota_mb": mailbox.used_quota_mb,
            "last_login_at": mailbox.last_login_at,
            "created_at": mailbox.created_at,
        }
    )


@router.post("", response={201: MailboxOut, **ERRORS}, operation_id="create_mailbox", summary="Create a mailbox")
@creates
def create_mailbox(request: HttpRequest, body: MailboxIn) -> Any:
    """In a domain whose ownership is proven. `provisioning` is `pending` until the mail engine has it."""
    mailbox = actions.create_mailbox(
        actor=actor_of(request),
        email=body.email,
        password=body.password,
        display_name=body.display_name,
        quota_mb=body.quota_mb,
    )
    return 201, shown(mailbox)


@router.get("", response={200: MailboxPage, **ERRORS}, operation_id="list_mailboxes", summary="List mailboxes")
def list_mailboxes(
    request: HttpRequest,
    domain_id: UUID | None = None,
    q: Annotated[str, Field(max_length=200, description="Part of the address or the name.")] = "",
    cursor: str | None = None,
    limit: Limit = 50,
) -> MailboxPage:
    actor = actor_of(request)
    actor.require(Action.MAILBOX_VIEW)
    with tenant_tx(actor.tenant_id):
        found = selectors.mailboxes(actor.tenant_id, search=q, domain_id=domain_id)
        rows, following = page(found, "email", cursor=cursor, limit=limit)
        return MailboxPage(items=[shown(row) for row in rows], next=following)


@router.get(
    "/{uuid:mailbox_id}", response={200: MailboxOut, **ERRORS}, operation_id="get_mailbox", summary="One mailbox"
)
def get_mailbox(request: HttpRequest, mailbox_id: UUID) -> MailboxOut:
    actor = actor_of(request)
    with tenant_tx(actor.tenant_id):
        return shown(mailbox_for(actor, mailbox_id))


@router.patch(
    "/{uuid:mailbox_id}",
    response={200: MailboxOut, **ERRORS},
    operation_id="change_mailbox",
    summary="Change a mailbox",
)
def change_mailbox(request: HttpRequest, mailbox_id: UUID, body: MailboxChange) -> MailboxOut:
    actor = actor_of(request)
    changes = body.model_dump(exclude_unset=True)
    with tenant_tx(actor.tenant_id):
        mailbox_for(actor, mailbox_id)
        status = changes.pop("status", None)
        if changes:
            actions.change_mailbox(actor=actor, mailbox_id=mailbox_id, **changes)
        if status is not None:
            actions.set_status(actor=actor, mailbox_id=mailbox_id, status=status)
        return shown(mailbox_for(actor, mailbox_id))


@router.post(
    "/{uuid:mailbox_id}/password",
    response={204: None, **ERRORS},
    operation_id="set_mailbox_password",
    summary="Set a mailbox's password",
)
def set_mailbox_password(request: HttpRequest, mailbox_id: UUID, body: PasswordIn) -> Any:
    """For mail programs and the web together; open web sessions of the person end."""
    actor = actor_of(request)
    with tenant_tx(actor.tenant_id):
        mailbox = mailbox_for(actor, mailbox_id)
        actions.set_mailbox_password(actor=actor, mailbox_id=mailbox.pk, password=body.password)
    return 204, None


@router.delete(
    "/{uuid:mailbox_id}", response={204: None, **ERRORS}, operation_id="delete_mailbox", summary="Delete a mailbox"
)
def delete_mailbox(request: HttpRequest, mailbox_id: UUID) -> Any:
    """With its mail, for good."""
    actor = actor_of(request)
    with tenant_tx(actor.tenant_id):
        mailbox = mailbox_for(actor, mailbox_id)
        actions.delete_mailbox(actor=actor, mailbox_id=mailbox.pk, confirmation=mailbox.email)
    return 204, None
