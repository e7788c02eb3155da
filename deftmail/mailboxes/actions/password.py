"""The one way to a new password: what the gate checks and what the web checks change together."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.hashers import make_password

from deftmail.kit.passwords import bare_hash
from deftmail.mailboxes.access import mailbox_for, require_power_over, role_of_person
from deftmail.mailboxes.actions.common import check_strength, in_company, running_company, sync
from deftmail.mailboxes.errors import OwnPassword
from deftmail.mailboxes.models import MailUser
from deftmail.tenants import audit
from deftmail.tenants.actor import Actor
from deftmail.tenants.models import Role, User
from deftmail.tenants.policies import Action


@in_company
def set_mailbox_password(*, actor: Actor, mailbox_id: UUID | str, password: str) -> MailUser:
    """Reset the password of a mailbox, for mail programs and the web together; the person's web sessions end.

    Raises PasswordRefused, Forbidden (the mailbox of someone stronger), OwnPassword (one's own console account, whose
    present password must be asked), CompanyStopped, NotFound.
    """
    running_company(actor)
    mailbox = mailbox_for(actor, mailbox_id, need=Action.MAILBOX_MANAGE)
    require_power_over(actor, mailbox)
    if actor.user_id is not None and actor.user_id == mailbox.user_id and role_of_person(mailbox) != Role.USER:
        raise OwnPassword
    check_strength(password, email=mailbox.email, name=mailbox.display_name)
    stored = make_password(password)  # slow: before any row is locked
    mailbox = mailbox_for(actor, mailbox_id, need=Action.MAILBOX_MANAGE, for_update=True)
    if mailbox.user_id is not None:
        User.objects.filter(pk=mailbox.user_id).update(password=stored)
    store_hash(mailbox, stored)
    audit.record(actor, "mailbox.password_set", mailbox)
    return mailbox


def store_hash(mailbox: MailUser, stored: str) -> None:
    """Give the mailbox's row the bare form of Django's stored hash."""
    mailbox.password_hash = bare_hash(stored)
    mailbox.save(update_fields=["password_hash", "updated_at"])
    sync(mailbox)
