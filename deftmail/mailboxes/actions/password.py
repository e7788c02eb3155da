"""The one way to a new password: what the gate checks and what the web checks change together."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from django.contrib.auth.hashers import make_password

from deftmail.kit.passwords import bare_hash
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.access import mailbox_for, require_power_over, role_of_person
from deftmail.mailboxes.actions.common import check_strength, sync
from deftmail.mailboxes.errors import OwnPassword
from deftmail.mailboxes.models import MailUser
from deftmail.tenants import audit
from deftmail.tenants.access import running_company
from deftmail.tenants.actions.passwords import count_hash, set_password
from deftmail.tenants.actor import Actor
from deftmail.tenants.models import Role, User
from deftmail.tenants.policies import Action, rights_of


def set_mailbox_password(*, actor: Actor, mailbox_id: UUID | str, password: str) -> MailUser:
    """Reset the password of a mailbox, for mail programs and the web together; the person's web sessions end.

    Call outside a transaction, which would be held while the password is hashed. Raises PasswordRefused, Forbidden (the
    mailbox of someone stronger), OwnPassword (one's own console account, whose present password must be asked),
    TooManyRequests, CompanySuspended, NotFound.
    """
    with tenant_tx(actor.tenant_id):
        mailbox, _role = _allowed(actor, mailbox_id)
    count_hash(actor)
    check_strength(password, email=mailbox.email, name=mailbox.display_name)
    stored = make_password(password)
    with tenant_tx(actor.tenant_id):
        mailbox, role = _allowed(actor, mailbox_id, for_update=True)
        audit.record(actor, "mailbox.password_set", mailbox)
        person = User.objects.filter(pk=mailbox.user_id).first() if mailbox.user_id is not None else None
        if person is None:
            store_hash(mailbox, bare_hash(stored))
            return mailbox
        # Who manages mailboxes manages the people of plain ones, also as an API key that may see no other people.
        able = actor if role != Role.USER else replace(
            actor, rights=actor.rights | rights_of(Role.USER) | {Action.PEOPLE_MANAGE}
        )  # fmt: skip
        set_password(actor=able, user=person, password=password, how="reset", stored=stored)  # tells `follow_person`
        return mailbox_for(actor, mailbox_id, need=Action.MAILBOX_MANAGE)


def _allowed(actor: Actor, mailbox_id: UUID | str, *, for_update: bool = False) -> tuple[MailUser, str]:
    """The mailbox and its person's role, where the actor may set its password."""
    running_company(actor)
    mailbox = mailbox_for(actor, mailbox_id, need=Action.MAILBOX_MANAGE, for_update=for_update)
    require_power_over(actor, mailbox)
    role = role_of_person(mailbox)
    if actor.user_id is not None and actor.user_id == mailbox.user_id and role != Role.USER:
        raise OwnPassword
    return mailbox, role


def follow_person(person: User, hashed: str) -> None:
    """Hook of the tenants room: the person has a new password, so his mailbox has it too."""
    mailbox = MailUser.objects.select_for_update(no_key=True).filter(user=person).first()
    if mailbox is not None:
        store_hash(mailbox, hashed)


def store_hash(mailbox: MailUser, hashed: str) -> None:
    """Give the mailbox's row a bare `$2b$12$…`."""
    mailbox.password_hash = hashed
    mailbox.save(update_fields=["password_hash", "updated_at"])
    sync(mailbox)
