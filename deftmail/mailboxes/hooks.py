"""What this room hangs on the rooms below: mailboxes of a domain that goes, and the person behind a mailbox."""

from __future__ import annotations

from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from deftmail.domains.hooks import domain_address_sources, domain_deletion_hooks
from deftmail.domains.models import Domain
from deftmail.mailboxes.access import require_power_over, role_of_person
from deftmail.mailboxes.actions.password import follow_person
from deftmail.mailboxes.actions.record import record_sign_in
from deftmail.mailboxes.actions.remove import erase
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.selectors import last_sign_ins, mailboxes_of_domain
from deftmail.tenants import hooks as people
from deftmail.tenants.actor import Actor
from deftmail.tenants.models import Role, User


def register() -> None:
    """Called once, when Django starts."""
    domain_address_sources.append(addresses_of)
    domain_deletion_hooks.append(erase_mailboxes_of)
    people.password_changed_hooks.append(follow_person)
    people.may_sign_in_hooks.append(reason_against_sign_in)
    people.signed_in_hooks.append(note_sign_in)
    people.has_mailbox_hooks.append(has_mailbox)
    people.hosts_domain_hooks.append(hosts_domain)
    people.last_sign_ins_hooks.append(last_sign_ins)


def addresses_of(domain: Domain) -> list[str]:
    """The mailboxes that would go with the domain."""
    return mailboxes_of_domain(domain.tenant_id, domain.pk)


def erase_mailboxes_of(actor: Actor, domain: Domain, _named: frozenset[str]) -> None:
    """Delete the mailboxes of a domain that is deleted (each was named by the caller), with their mail and people.

    Raises Forbidden when one is the mailbox of someone stronger than the actor.
    """
    rows = MailUser.objects.select_for_update(no_key=True).filter(tenant_id=domain.tenant_id, domain=domain)
    for mailbox in rows.order_by("email"):
        require_power_over(actor, mailbox)
        erase(actor, mailbox)


def reason_against_sign_in(person: User) -> str | Promise | None:
    """A disabled mailbox takes its person's sign-in; an owner or admin keeps the console."""
    mailbox = MailUser.objects.filter(user=person).first()
    if mailbox is None or mailbox.status != MailUser.Status.DISABLED or role_of_person(mailbox) != Role.USER:
        return None
    return _("Your mailbox is disabled. Ask the administrator of your company.")


def note_sign_in(person: User) -> None:
    """Signing in on the web is signing in to the mailbox: who never uses a mail program is no stranger."""
    mailbox = MailUser.objects.filter(user=person).first()
    if mailbox is not None:
        record_sign_in(mailbox.tenant_id, mailbox.pk)


def has_mailbox(person: User) -> bool:
    """Whether the person reads his mail here."""
    return MailUser.objects.filter(user=person).exists()


def hosts_domain(tenant_id: UUID, domain: str) -> bool:
    """Whether the company has claimed the domain (A-labels)."""
    return Domain.objects.filter(tenant_id=tenant_id, domain=domain).exists()
