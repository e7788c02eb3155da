"""What this room hangs on the rooms below: mailboxes of a domain that goes, the password of a person that changes."""

from __future__ import annotations

from deftmail.domains.hooks import domain_address_sources, domain_deletion_hooks
from deftmail.domains.models import Domain
from deftmail.mailboxes.access import require_power_over
from deftmail.mailboxes.actions.remove import erase
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.selectors import mailboxes_of_domain
from deftmail.tenants.actor import Actor


def register() -> None:
    """Called once, when Django starts."""
    domain_address_sources.append(lambda domain: mailboxes_of_domain(domain.tenant_id, domain.pk))
    domain_deletion_hooks.append(erase_mailboxes_of)


def erase_mailboxes_of(actor: Actor, domain: Domain, _named: frozenset[str]) -> None:
    """Delete the mailboxes of a domain that is deleted (each was named by the caller), with their mail and people.

    Raises Forbidden when one is the mailbox of someone stronger than the actor.
    """
    rows = MailUser.objects.select_for_update(no_key=True).filter(tenant_id=domain.tenant_id, domain=domain)
    for mailbox in rows.order_by("email"):
        require_power_over(actor, mailbox)
        erase(actor, mailbox)
