"""A mailbox and its mail, gone for good."""

from __future__ import annotations

from uuid import UUID

from deftmail.engine.sync import mailbox_lock
from deftmail.kit.jobs import enqueue
from deftmail.mailboxes.access import mailbox_for, require_power_over, role_of_person
from deftmail.mailboxes.actions.common import in_company
from deftmail.mailboxes.errors import ConfirmationMismatch
from deftmail.mailboxes.models import MailUser
from deftmail.tenants import audit
from deftmail.tenants.access import running_company
from deftmail.tenants.actor import Actor
from deftmail.tenants.addresses import as_typed
from deftmail.tenants.models import Role, User
from deftmail.tenants.policies import Action


@in_company
def delete_mailbox(*, actor: Actor, mailbox_id: UUID | str, confirmation: str) -> None:
    """Delete the mailbox, its mail and its person (an owner or admin keeps his sign-in).

    confirmation: the mailbox's address as typed, its domain in either spelling. Raises ConfirmationMismatch, Forbidden
    (somebody stronger's), CompanySuspended, NotFound.
    """
    running_company(actor)
    mailbox = mailbox_for(actor, mailbox_id, need=Action.MAILBOX_MANAGE, for_update=True)
    if as_typed(confirmation) != mailbox.email:
        raise ConfirmationMismatch
    require_power_over(actor, mailbox)
    erase(actor, mailbox)


def erase(actor: Actor, mailbox: MailUser) -> None:
    """Take out the row and its person, and have the engine forget what was made for exactly this row."""
    from deftmail.mailboxes.tasks import remove_mailbox  # tasks need the actions in turn

    person_id = mailbox.user_id if role_of_person(mailbox) == Role.USER else None
    audit.record(actor, "mailbox.deleted", mailbox, before={"status": mailbox.status, "used_bytes": mailbox.used_bytes})
    enqueue(
        remove_mailbox,
        lock=mailbox_lock(mailbox.email),
        address=mailbox.email,
        mailbox_id=str(mailbox.pk),
    )
    mailbox.delete()
    if person_id is not None:
        User.objects.get(pk=person_id).delete()
