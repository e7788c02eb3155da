"""What a company does about a block or a limit: it asks a person to look. Each is one transaction of the company."""

from __future__ import annotations

from uuid import UUID

from django.utils.timezone import now

from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.access import mailbox_for
from deftmail.sending.models import ReviewCase
from deftmail.sending.reviews.access import block_for
from deftmail.sending.reviews.errors import AlreadyAsked, BlockOver
from deftmail.tenants import audit
from deftmail.tenants.access import company_of
from deftmail.tenants.actor import Actor
from deftmail.tenants.policies import Action


def appeal(*, actor: Actor, block_id: UUID | str, text: str) -> ReviewCase:
    """Ask for a block to be lifted; also open to a suspended company. Raises AlreadyAsked, BlockOver, NotFound."""
    with tenant_tx(actor.tenant_id):
        actor.require(Action.COMPANY_CHANGE)
        company_of(actor, for_update=True)  # two windows at once: the second sees the first's case
        block = block_for(actor, block_id)
        if not block.is_active_at(now()):
            raise BlockOver
        if ReviewCase.objects.filter(block=block, state=ReviewCase.State.OPEN).exists():
            raise AlreadyAsked
        return _file(actor, kind=ReviewCase.Kind.APPEAL, block=block, mail_user_id=block.mail_user_id, text=text)


def ask_for_more(*, actor: Actor, text: str, wanted: int | None, mailbox_id: UUID | str | None = None) -> ReviewCase:
    """Ask for higher limits, for one mailbox's sake or in general. Raises AlreadyAsked, NotFound."""
    with tenant_tx(actor.tenant_id):
        actor.require(Action.COMPANY_CHANGE)
        company_of(actor, for_update=True)
        mailbox = mailbox_for(actor, mailbox_id) if mailbox_id is not None else None
        if ReviewCase.objects.filter(
            tenant_id=actor.tenant_id, kind=ReviewCase.Kind.MORE, state=ReviewCase.State.OPEN
        ).exists():
            raise AlreadyAsked
        mail_user_id = mailbox.pk if mailbox is not None else None
        return _file(actor, kind=ReviewCase.Kind.MORE, mail_user_id=mail_user_id, wanted=wanted, text=text)


def _file(actor: Actor, **values: object) -> ReviewCase:
    case = ReviewCase(tenant_id=actor.tenant_id, opened_by=actor.label[:255], **values)
    case.save(force_insert=True)
    audit.record(actor, f"review.{case.kind}_filed", case, wanted=case.wanted, text=case.text)
    return case
