"""What an operator does to a company's sending. Each is one transaction of that company, in its log with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from django.utils.timezone import now

from deftmail.domains.access import domain_for
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.access import mailbox_for
from deftmail.sending import actions as core
from deftmail.sending import notices
from deftmail.sending.limits import COLUMNS
from deftmail.sending.models import Block, ReviewCase
from deftmail.sending.office.guard import Operator
from deftmail.sending.reviews.access import block_for, case_for
from deftmail.sending.reviews.errors import CaseDecided
from deftmail.tenants import audit
from deftmail.tenants.access import company_of
from deftmail.tenants.models import Tenant


def block(
    *,
    operator: Operator,
    tenant_id: UUID,
    kind: str,
    reason: str,
    evidence: str = "",
    mailbox_id: UUID | None = None,
    domain_id: UUID | None = None,
) -> Block:
    """Stop sending for a mailbox, a domain or (neither named) the whole company; its owners are told.

    Raises NotFound for a mailbox or domain of another company.
    """
    actor = operator.actor(tenant_id)
    with tenant_tx(tenant_id):
        made = core.block(
            tenant_id=tenant_id,
            kind=kind,
            reason=reason,
            evidence=evidence,
            mailbox=mailbox_for(actor, mailbox_id) if mailbox_id is not None else None,
            domain=domain_for(actor, domain_id) if domain_id is not None else None,
            created_by=operator.user,
            created_by_name=operator.name,
        )
        notices.tell_of_block(made)
    return made


def lift(*, operator: Operator, tenant_id: UUID, block_id: UUID, reason: str) -> Block:
    """End a block now; an open appeal against it is answered with the reason. Owners are told once."""
    with tenant_tx(tenant_id):
        found = block_for(operator.actor(tenant_id), block_id, for_update=True)
        was_lifted = found.lifted_at is not None
        lifted = core.lift(block=found, lifted_by_name=operator.name, reason=reason)
        if not was_lifted:
            for case in ReviewCase.objects.select_for_update().filter(block=found, state=ReviewCase.State.OPEN):
                _decide(operator, case, ReviewCase.State.RELEASED, reason, tell=False)
            notices.tell_of_block(lifted)
    return lifted


def change_limits(*, operator: Operator, tenant_id: UUID, limits: Mapping[str, int | None], reason: str) -> Tenant:
    """Set limits of a company (columns of `sending.limits.COLUMNS`; None is unlimited). In force within a second."""
    unknown = set(limits) - set(COLUMNS)
    if unknown:
        raise ValueError(f"no limits: {sorted(unknown)}")
    actor = operator.actor(tenant_id)
    with tenant_tx(tenant_id):
        company = company_of(actor, for_update=True)
        before = {column: getattr(company, column) for column in limits}
        if before == dict(limits):
            return company
        for column, value in limits.items():
            setattr(company, column, value)
        company.save(update_fields=[*limits, "updated_at"])
        audit.record(actor, "sending.limits_changed", company, before=before, after=dict(limits), reason=reason)
    return company


def release(
    *,
    operator: Operator,
    tenant_id: UUID,
    case_id: UUID,
    answer: str,
    limits: Mapping[str, int | None] | None = None,
) -> ReviewCase:
    """Grant a case: its block is lifted, or the limits given are set. Owners get the answer. Raises CaseDecided."""
    with tenant_tx(tenant_id):
        case = _open_case(operator, tenant_id, case_id)
        if case.block_id is not None:
            found = block_for(operator.actor(tenant_id), case.block_id, for_update=True)
            core.lift(block=found, lifted_by_name=operator.name, reason=answer)
        if limits:
            change_limits(operator=operator, tenant_id=tenant_id, limits=limits, reason=answer)
        _decide(operator, case, ReviewCase.State.RELEASED, answer)
    return case


def refuse(*, operator: Operator, tenant_id: UUID, case_id: UUID, answer: str) -> ReviewCase:
    """Refuse a case with a reason its owners read. Raises CaseDecided."""
    with tenant_tx(tenant_id):
        case = _open_case(operator, tenant_id, case_id)
        _decide(operator, case, ReviewCase.State.REFUSED, answer)
    return case


def _open_case(operator: Operator, tenant_id: UUID, case_id: UUID) -> ReviewCase:
    case = case_for(operator.actor(tenant_id), case_id)
    if not case.is_open:
        raise CaseDecided
    return case


def _decide(operator: Operator, case: ReviewCase, state: str, answer: str, *, tell: bool = True) -> None:
    case.state, case.answer, case.decided_at, case.decided_by = state, answer, now(), operator.name[:255]
    case.save(update_fields=["state", "answer", "decided_at", "decided_by", "updated_at"])
    audit.record(operator.actor(case.tenant_id), f"review.{state}", case, answer=answer)
    if tell:
        notices.tell_of_case(case)
