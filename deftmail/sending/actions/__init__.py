"""Acts on sending: stop it, let it go on. Each in the transaction of the caller's `tenant_tx`, each in the log."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from deftmail.domains.models import Domain
from deftmail.mailboxes.models import MailUser
from deftmail.sending.models import Block
from deftmail.tenants import audit
from deftmail.tenants.actor import Actor
from deftmail.tenants.models import User

_LASTS = {Block.Kind.HOUR: timedelta(hours=1), Block.Kind.DAY: timedelta(hours=24), Block.Kind.REVIEW: None}


@transaction.atomic
def block(
    *,
    tenant_id: UUID,
    kind: str,
    reason: str,
    evidence: str = "",
    way_out: str = "",
    mailbox: MailUser | None = None,
    domain: Domain | None = None,
    created_by: User | None = None,
    created_by_name: str = "",
    source: str = Block.Source.OPERATOR,
) -> Block:
    """Stop sending for a mailbox, a domain, or the whole company: for an hour, a day, or until a review.

    In force on every door within 2 s. Receiving, reading and export go on. The caller is an operator's page or a
    signal; no person of the company has the right.
    """
    moment = now()
    lasts = _LASTS[Block.Kind(kind)]
    made = Block.objects.create(
        tenant_id=tenant_id,
        mail_user=mailbox,
        domain=domain,
        kind=kind,
        source=source,
        reason=reason,
        evidence=evidence,
        way_out=way_out,
        created_by=created_by,
        created_by_name=created_by_name,
        starts_at=moment,
        ends_at=moment + lasts if lasts is not None else None,
    )
    audit.record(
        Actor.system(tenant_id, created_by_name or "DeftMail"),
        "sending.blocked",
        mailbox or domain,
        block=str(made.pk),
        kind=kind,
        reason=reason,
        whole_company=mailbox is None and domain is None,
    )
    return made


@transaction.atomic
def lift(*, block: Block, lifted_by_name: str, reason: str) -> Block:
    """End a block before its time. One that is lifted already stays as it was."""
    row = Block.objects.select_for_update(of=("self",)).select_related("mail_user", "domain").get(pk=block.pk)
    if row.lifted_at is not None:
        return row
    row.lifted_at, row.lifted_by_name, row.lift_reason = now(), lifted_by_name, reason
    row.save(update_fields=["lifted_at", "lifted_by_name", "lift_reason", "updated_at"])
    audit.record(
        Actor.system(row.tenant_id, lifted_by_name),
        "sending.released",
        row.mail_user or row.domain,
        block=str(row.pk),
        reason=reason,
    )
    return row
