"""Mailboxes over the API."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import Field

from deftmail.api.auth import ApiKeyAuth, actor_of
from deftmail.api.idempotency import idempotent
from deftmail.api.operations import BODY, errors
from deftmail.api.pagination import Cursor, Limit, page
from deftmail.api.schemas import (
    MailboxChange,
    MailboxIn,
    MailboxOut,
    MailboxPage,
    MaySend,
    PasswordIn,
    Text,
)
from deftmail.kit.errors import Unavailable
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes import actions, selectors
from deftmail.mailboxes.access import mailbox_for
from deftmail.mailboxes.models import MailUser
from deftmail.sending import counters
from deftmail.tenants.addresses import canonical
from deftmail.tenants.policies import Action

router = Router(tags=["mailboxes"])
reads = ApiKeyAuth(Action.MAILBOX_VIEW)
writes = ApiKeyAuth(Action.MAILBOX_MANAGE)


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


@router.post(
    "",
    response={201: MailboxOut, **errors(*BODY, 409)},
    auth=writes,
    operation_id="create_mailbox",
    summary="Create a mailbox",
)
@idempotent
def create_mailbox(request: HttpRequest, body: MailboxIn) -> Any:
    """In a domain whose ownership is proven (409 `domain-not-proven` before that).

    `provisioning` is `pending` until the mail engine has it, a second or so. An owner or admin of the company who signs
    in with this very address gets the mailbox joined to his account and keeps the password he has.
    """
    mailbox = actions.create_mailbox(
        actor=actor_of(request),
        email=body.email,
        password=body.password,
        display_name=body.display_name or "",
        quota_mb=body.quota_mb,
    )
    return Status(201, shown(mailbox))


@router.get(
    "",
    response={200: MailboxPage, **errors(422)},
    auth=reads,
    operation_id="list_mailboxes",
    summary="List mailboxes",
)
def list_mailboxes(
    request: HttpRequest,
    domain_id: Annotated[UUID | None, Field(description="Those of one domain.")] = None,
    q: Annotated[Text, Field(max_length=200)] = "",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> MailboxPage:
    """By address."""
    actor = actor_of(request)
    with tenant_tx(actor.tenant_id):
        found = selectors.mailboxes(actor.tenant_id, search=q, domain_id=domain_id).select_related(None)
        rows, following = page(found, "email", cursor=cursor, limit=limit)
    return MailboxPage(items=[shown(row) for row in rows], next=following)


@router.get(
    "/{uuid:mailbox_id}",
    response={200: MailboxOut, **errors(404)},
    auth=reads,
    operation_id="get_mailbox",
    summary="One mailbox",
)
def get_mailbox(request: HttpRequest, mailbox_id: UUID) -> MailboxOut:
    """With its state and usage."""
    actor = actor_of(request)
    with tenant_tx(actor.tenant_id):
        mailbox = mailbox_for(actor, mailbox_id)
    return shown(mailbox)


@router.patch(
    "/{uuid:mailbox_id}",
    response={200: MailboxOut, **errors(*BODY, 404, 409)},
    auth=writes,
    operation_id="change_mailbox",
    summary="Change a mailbox",
)
def change_mailbox(request: HttpRequest, mailbox_id: UUID, body: MailboxChange) -> MailboxOut:
    """Changes what is given, all of it or nothing.

    A disabled mailbox can neither sign in nor send; mail to it is kept. 409 `mailbox-suspended`: only the operator
    lifts a suspension.
    """
    actor = actor_of(request)
    changes = body.model_dump(exclude_unset=True)
    with tenant_tx(actor.tenant_id):
        mailbox = mailbox_for(actor, mailbox_id)
        status = changes.pop("status", None)
        if changes:
            mailbox = actions.change_mailbox(actor=actor, mailbox_id=mailbox_id, **changes)
        if status is not None:
            mailbox = actions.set_status(actor=actor, mailbox_id=mailbox_id, status=status)
    return shown(mailbox)


@router.post(
    "/{uuid:mailbox_id}/password",
    response={204: None, **errors(*BODY, 404)},
    auth=writes,
    operation_id="set_mailbox_password",
    summary="Set a mailbox's password",
)
@idempotent
def set_mailbox_password(request: HttpRequest, mailbox_id: UUID, body: PasswordIn) -> Any:
    """For mail programs and the web together; the person's open web sessions end."""
    actions.set_mailbox_password(actor=actor_of(request), mailbox_id=mailbox_id, password=body.password)
    return Status(204, None)


@router.get(
    "/{uuid:mailbox_id}/may-send",
    response={200: MaySend, **errors(404, 422)},
    auth=reads,
    operation_id="may_send",
    summary="May a message leave?",
)
def may_send(
    request: HttpRequest,
    mailbox_id: UUID,
    to: Annotated[tuple[Text, ...], Query(max_length=100, description="A recipient; repeat it for each.")] = (),
) -> MaySend:
    """What the mail server would answer now to a message of this mailbox to these recipients. Charges nothing.

    Without recipients: whether it may send at all.
    """
    actor = actor_of(request)
    with tenant_tx(actor.tenant_id):
        mailbox = mailbox_for(actor, mailbox_id)
    decision = counters.peek(mailbox.email, [canonical(each, field="to") for each in to])
    if decision.reason == counters.UNAVAILABLE.reason:
        raise Unavailable
    return MaySend(
        allowed=decision.allowed,
        detail=decision.answer,
        limit=decision.limit,
        used=decision.used,
        maximum=decision.maximum,
        frees_at=decision.frees_at,
    )


@router.delete(
    "/{uuid:mailbox_id}",
    response={204: None, **errors(404)},
    auth=writes,
    operation_id="delete_mailbox",
    summary="Delete a mailbox",
)
def delete_mailbox(request: HttpRequest, mailbox_id: UUID) -> Any:
    """With its mail, for good. The address is free at once, and whoever gets it next never sees old mail."""
    actor = actor_of(request)
    with tenant_tx(actor.tenant_id):
        mailbox = mailbox_for(actor, mailbox_id)
        actions.delete_mailbox(actor=actor, mailbox_id=mailbox.pk, confirmation=mailbox.email)
    return Status(204, None)
