"""The only door to a company's mailbox. Call inside `tenant_tx`."""

from __future__ import annotations

from uuid import UUID

from deftmail.kit.errors import NotFound
from deftmail.mailboxes.models import MailUser
from deftmail.tenants.actor import Actor
from deftmail.tenants.models import Membership, Role
from deftmail.tenants.policies import Action, may_act_on


def mailbox_for(
    actor: Actor, mailbox_id: UUID | str, *, need: Action = Action.MAILBOX_VIEW, for_update: bool = False
) -> MailUser:
    """The actor's mailbox, locked when `for_update`. Raises Forbidden, or NotFound for absent and foreign alike."""
    actor.require(need)
    mailboxes = MailUser.objects.filter(tenant_id=actor.tenant_id, pk=_as_uuid(mailbox_id))
    if for_update:
        # NO KEY: rows that only point here (limits, audit) need not wait.
        mailboxes = mailboxes.select_for_update(no_key=True)
    mailbox = mailboxes.first()
    if mailbox is None:
        raise NotFound
    return mailbox


def own_mailbox(actor: Actor) -> MailUser:
    """The mailbox of the signed-in person himself, with its company. Raises NotFound for a person without one."""
    actor.require(Action.MAIL_USE)
    if actor.user_id is None:
        raise NotFound
    own = MailUser.objects.select_related("tenant").filter(tenant_id=actor.tenant_id, user_id=actor.user_id)
    mailbox = own.first()
    if mailbox is None:
        raise NotFound
    return mailbox


def role_of_person(mailbox: MailUser) -> str:
    """The role of the person behind the mailbox; `user` where there is none."""
    if mailbox.user_id is None:
        return Role.USER
    role = (
        Membership.objects.filter(tenant_id=mailbox.tenant_id, user_id=mailbox.user_id)
        .values_list("role", flat=True)
        .first()
    )
    return role or Role.USER


def has_power_over(actor: Actor, mailbox: MailUser) -> bool:
    """Whether the actor may change this mailbox, as `require_power_over` decides it. For pages."""
    if not actor.can(Action.MAILBOX_MANAGE):
        return False
    role = role_of_person(mailbox)
    return role == Role.USER or may_act_on(actor.rights, role)


def require_power_over(actor: Actor, mailbox: MailUser) -> None:
    """Raises Forbidden when the mailbox belongs to someone stronger than the actor.

    Whoever manages mailboxes manages those of plain users; the mailbox of an admin or owner is his sign-in too, so
    there the actor needs every right of that role himself.
    """
    role = role_of_person(mailbox)
    if role != Role.USER:
        actor.require_not_stronger(role)


def _as_uuid(value: UUID | str) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except ValueError:
        raise NotFound from None
