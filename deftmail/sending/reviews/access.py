"""The only door to a company's blocks and cases. Call inside `tenant_tx`."""

from __future__ import annotations

from uuid import UUID

from deftmail.kit.errors import NotFound
from deftmail.sending.models import Block, ReviewCase
from deftmail.tenants.actor import Actor
from deftmail.tenants.policies import Action


def block_for(actor: Actor, block_id: UUID | str, *, for_update: bool = False) -> Block:
    """A block of the actor's company. Raises Forbidden, or NotFound for absent and foreign alike."""
    actor.require(Action.CONSOLE_VIEW)
    rows = Block.objects.filter(tenant_id=actor.tenant_id, pk=block_id)
    rows = rows.select_for_update(no_key=True) if for_update else rows.select_related("mail_user", "domain")
    block = rows.first()
    if block is None:
        raise NotFound
    return block


def case_for(actor: Actor, case_id: UUID | str) -> ReviewCase:
    """A case of the actor's company, locked: it is decided once. Raises Forbidden, NotFound."""
    actor.require(Action.CONSOLE_VIEW)
    case = ReviewCase.objects.select_for_update(no_key=True).filter(tenant_id=actor.tenant_id, pk=case_id).first()
    if case is None:
        raise NotFound
    return case
