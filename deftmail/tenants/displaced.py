"""A person whose sign-in address turned out to belong to another company's proven domain.

He keeps his account and signs in with the address and password he always typed, until he has chosen another; but the
address itself is free for its mailbox, and no mail of his goes there any more. Neither side learns of the other.
"""

from __future__ import annotations

from allauth.account.models import EmailAddress
from django.db import transaction

from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants import audit
from deftmail.tenants.access import company_of
from deftmail.tenants.actor import Actor
from deftmail.tenants.models import Membership, User

_NOWHERE = "displaced.invalid"  # RFC 2606 §2: can never receive


@transaction.atomic
def displace(user: User) -> None:
    """Free `user.email` for the company that proved its domain. He is marked (`former_email`) until he has another."""
    lost = user.email
    user.former_email, user.email = lost, f"{user.pk}@{_NOWHERE}"
    user.save(update_fields=["email", "former_email"])
    EmailAddress.objects.filter(user=user).delete()
    # Verified, or sign-in would mail a link to nowhere before letting him choose.
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    membership = Membership.objects.filter(user=user).first()  # tenant-scope: one row per user
    if membership is None:
        return
    with tenant_tx(membership.tenant_id):
        company = company_of(Actor.system(membership.tenant_id), for_update=True)
        if company.owner_email == lost:
            company.owner_email = user.recovery_email or user.email
            company.save(update_fields=["owner_email", "updated_at"])
        audit.record(Actor.system(membership.tenant_id), "person.address_lost", None, person=str(user.pk))


def former_holders(email: str) -> list[User]:
    """Who lost this address and may still sign in by it. More than one only where it was lost more than once."""
    return list(User.objects.filter(former_email=email).exclude(former_email="")[:5])
