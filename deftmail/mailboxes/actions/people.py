"""The person behind a new mailbox: a new one, a colleague who signs in with this address already, or neither.

An address belongs to whoever proved its domain. A `User` of another company who signed up with it (before the domain
was proven here) loses it: he signs in as before, but must choose another, and his company is never named.
"""

from __future__ import annotations

from dataclasses import dataclass

from allauth.account.models import EmailAddress

from deftmail.kit.passwords import bare_hash
from deftmail.mailboxes.errors import PersonHasMailbox
from deftmail.mailboxes.models import MailUser
from deftmail.tenants.actor import Actor
from deftmail.tenants.displaced import displace
from deftmail.tenants.models import Membership, Role, User


@dataclass(frozen=True)
class MailboxPerson:
    """password_hash: what the mailbox's row holds (bare `$2b$`)
    joined: he was here already and keeps role and password
    displaced: a stranger had to give the address up
    """

    user: User
    password_hash: str
    joined: bool = False
    displaced: bool = False


def person_of(actor: Actor, email: str, *, name: str, web_password: str) -> MailboxPerson:
    """The person of the mailbox `email` in the actor's company, made where there is none.

    web_password: Django's stored form of the password of a new person. Raises PersonHasMailbox.
    """
    holder = User.objects.select_for_update().filter(email=email).first()
    displaced = False
    if holder is not None:
        if Membership.objects.filter(tenant_id=actor.tenant_id, user=holder).exists():
            if MailUser.objects.filter(tenant_id=actor.tenant_id, user=holder).exists():
                raise PersonHasMailbox
            # His password stays his: whoever makes the mailbox may be weaker than he is. Without one (passkeys only)
            # mail programs wait until he sets one.
            return MailboxPerson(holder, bare_hash(holder.password) or bare_hash(web_password), joined=True)
        displace(holder)
        displaced = True
    user = User.objects.create(email=email, name=name, password=web_password)
    Membership.objects.create(tenant_id=actor.tenant_id, user=user, role=Role.USER)
    # The company proved the domain and gave the address out: nothing is left to verify.
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    return MailboxPerson(user, bare_hash(web_password), displaced=displaced)
