"""Name, size and state of a mailbox."""

from __future__ import annotations

from enum import Enum
from uuid import UUID

from django.utils.timezone import now

from deftmail.kit.errors import Forbidden, Invalid
from deftmail.mailboxes import fullness
from deftmail.mailboxes.access import mailbox_for, require_power_over
from deftmail.mailboxes.actions.common import in_company, quota_within, sync, tidy_name
from deftmail.mailboxes.actions.record import tell_filling
from deftmail.mailboxes.errors import SuspendedByOperator
from deftmail.mailboxes.models import MailUser
from deftmail.tenants import audit
from deftmail.tenants.access import running_company
from deftmail.tenants.actor import Actor
from deftmail.tenants.models import Membership, Role, User
from deftmail.tenants.policies import Action

Status = MailUser.Status


class Keep(Enum):
    """Stands for "leave as it is" where None means something (the plan's quota)."""

    KEEP = "keep"


KEEP = Keep.KEEP


@in_company
def change_mailbox(
    *, actor: Actor, mailbox_id: UUID | str, display_name: str | Keep | None = KEEP, quota_mb: int | Keep | None = KEEP
) -> MailUser:
    """Change what is given. `quota_mb` in MiB, None takes the plan's.

    Raises QuotaInvalid, CompanySuspended, NotFound, Forbidden (somebody stronger's mailbox: a size of 1 MB stops it).
    """
    company = running_company(actor)
    mailbox = mailbox_for(actor, mailbox_id, need=Action.MAILBOX_MANAGE, for_update=True)
    require_power_over(actor, mailbox)
    before = {"display_name": mailbox.display_name, "quota_mb": mailbox.quota_mb}
    if not isinstance(display_name, Keep):
        mailbox.display_name = tidy_name(display_name)
    if not isinstance(quota_mb, Keep):
        mailbox.quota_mb = quota_within(company, quota_mb)
    after = {"display_name": mailbox.display_name, "quota_mb": mailbox.quota_mb}
    if before == after:
        return mailbox
    if crossed := fullness.follow(mailbox, now()):
        tell_filling(mailbox, crossed)
    mailbox.save(update_fields=["display_name", "quota_mb", "full_since", "quota_told", "updated_at"])
    if mailbox.user_id is not None and before["display_name"] != after["display_name"]:
        # A plain mailbox person is known by his mailbox's name; an owner or admin has a name of his own.
        people = Membership.objects.filter(tenant_id=actor.tenant_id, user_id=mailbox.user_id, role=Role.USER)
        User.objects.filter(pk__in=people.values("user_id")).update(name=mailbox.display_name)
    audit.record(actor, "mailbox.changed", mailbox, before=before, after=after)
    sync(mailbox)
    return mailbox


@in_company
def set_status(
    *,
    actor: Actor,
    mailbox_id: UUID | str,
    status: str,
    refuse: bool | None = None,
    reason: str = "",
    by_operator: bool = False,
) -> MailUser:
    """Enable (`active`), disable, or suspend a mailbox.

    refuse: a disabled mailbox refuses incoming mail instead of keeping it; None leaves the choice as it was
    by_operator: needed to suspend and to lift a suspension; commands and jobs of the operator say so, never a page
    Raises SuspendedByOperator, Forbidden (somebody stronger's mailbox), CompanySuspended, NotFound.
    """
    if status not in Status.values:
        raise Invalid(field="status")
    if by_operator:
        actor.require(Action.COMPANY_DELETE)  # the rights of Actor.system; no person calls with by_operator
    else:
        running_company(actor)
    mailbox = mailbox_for(actor, mailbox_id, need=Action.MAILBOX_MANAGE, for_update=True)
    require_power_over(actor, mailbox)
    if not by_operator:
        if status == Status.SUSPENDED:
            raise Forbidden
        if mailbox.status == Status.SUSPENDED:
            raise SuspendedByOperator
    before = {"status": mailbox.status, "refuse_when_disabled": mailbox.refuse_when_disabled}
    if status == Status.ACTIVE:
        mailbox.refuse_when_disabled = False
    elif refuse is not None:
        mailbox.refuse_when_disabled = refuse
    mailbox.status = status
    mailbox.status_reason = reason if status != Status.ACTIVE else ""
    after = {"status": mailbox.status, "refuse_when_disabled": mailbox.refuse_when_disabled}
    if before == after:
        return mailbox
    mailbox.save(update_fields=["status", "status_reason", "refuse_when_disabled", "updated_at"])
    audit.record(actor, f"mailbox.{_ACTS[status]}", mailbox, before=before, after=after, reason=reason)
    sync(mailbox)
    return mailbox


_ACTS: dict[str, str] = {Status.ACTIVE: "enabled", Status.DISABLED: "disabled", Status.SUSPENDED: "suspended"}


@in_company
def retry_sync(*, actor: Actor, mailbox_id: UUID | str) -> MailUser:
    """Try the engine again now, after a failure or while waiting for the next attempt.

    Also in a suspended company: it changes nothing that was wanted, and receiving goes on.
    """
    mailbox = mailbox_for(actor, mailbox_id, need=Action.MAILBOX_MANAGE, for_update=True)
    sync(mailbox)
    audit.record(actor, "mailbox.sync_retried", mailbox)
    return mailbox
