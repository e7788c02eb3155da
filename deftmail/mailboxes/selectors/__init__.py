"""Lists of a company's mailboxes. Call inside `tenant_tx`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from deftmail.domains.models import Domain
from deftmail.domains.selectors import owner_addresses
from deftmail.mailboxes.errors import MailboxLimitReached
from deftmail.mailboxes.models import MailUser
from deftmail.tenants.models import Membership, Role, Tenant, User

SORTS = {
    "address": ("email",),
    "name": ("display_name", "email"),
    "used": ("used_bytes", "email"),
    "signin": ("last_login_at", "email"),
}
"""What a list may be sorted by: word in the URL → order. A leading `-` in the URL reverses it."""
DEFAULT_SORT = "address"


def mailboxes(
    tenant_id: UUID, search: str = "", domain_id: UUID | None = None, *, status: str = "", sort: str = DEFAULT_SORT
) -> QuerySet[MailUser]:
    """The company's mailboxes. `search` matches a part of the address (either spelling of its domain) or of the name;
    `status` is a status, `provisioning` or `failed`."""
    found = (
        MailUser.objects.filter(tenant_id=tenant_id)
        .select_related("domain")
        .defer("domain__dkim_private_key", "password_hash")
    )
    if text := search.replace("\0", "").strip()[:320]:  # PostgreSQL takes no NUL
        matches = Q(email__icontains=text) | Q(display_name__icontains=text)
        # The domain as people write it too: "bücher", "anna@bücher".
        local, at, name = text.rpartition("@")
        spelt = Q(domain__domain_unicode__icontains=name)
        if at:
            spelt = Q(domain__domain_unicode__istartswith=name, email__icontains=f"{local}@")
        found = found.filter(matches | spelt)
    if domain_id is not None:
        found = found.filter(domain_id=domain_id)
    if status in MailUser.Status.values:
        found = found.filter(status=status)
    elif status in ("pending", "failed"):
        found = found.filter(sync_state=status)
    found = found.order_by(*SORTS.get(sort.removeprefix("-"), SORTS[DEFAULT_SORT]))
    return found.reverse() if sort.startswith("-") else found


def mailbox_count(tenant_id: UUID) -> int:
    """How many mailboxes count against the company's ceiling."""
    return MailUser.objects.filter(tenant_id=tenant_id).count()


def no_room(company: Tenant) -> MailboxLimitReached | None:
    """Why the company can have no further mailbox; None while it can. Final once `company` is locked."""
    limit = company.max_mailboxes
    return None if limit is None or mailbox_count(company.pk) < limit else MailboxLimitReached(limit)


def mailboxes_of_domain(tenant_id: UUID, domain_id: UUID) -> list[str]:
    """The addresses of a domain's mailboxes, in order."""
    return list(
        MailUser.objects.filter(tenant_id=tenant_id, domain_id=domain_id)
        .order_by("email")
        .values_list("email", flat=True)
    )


def needs_recovery_address(tenant_id: UUID, user_id: UUID) -> bool:
    """Whether this person must name a recovery address: his sign-in is a mailbox here, so the link for a lost password
    would go into the mailbox that is locked. It counts once proven, and while its domain is not the company's."""
    person = User.objects.filter(pk=user_id, mailbox__tenant_id=tenant_id).first()
    if person is None or Membership.objects.filter(user=person, role=Role.USER).exists():
        return False  # plain mailbox people have their admin
    if not person.recovery_email or person.recovery_email_verified_at is None:
        return True
    domain = person.recovery_email.rpartition("@")[2]
    return Domain.objects.filter(tenant_id=tenant_id, domain=domain).exists()


def people_without_mailbox(tenant_id: UUID) -> list[str]:
    """Addresses with which people of the company sign in already, in its proven domains, that are no mailbox yet: one
    made for such an address joins its person, who keeps his password."""
    proven = Domain.objects.filter(tenant_id=tenant_id, ownership_proven_at__isnull=False)
    names = set(proven.values_list("domain", flat=True))
    people = User.objects.filter(membership__tenant_id=tenant_id, mailbox=None).order_by("email")
    return [email for email in people.values_list("email", flat=True) if email.rpartition("@")[2] in names]


def last_sign_ins(tenant_id: UUID, people: Collection[UUID]) -> dict[UUID, datetime]:
    """When these people last signed in to their mailboxes, with a mail program or on the web."""
    found = MailUser.objects.filter(tenant_id=tenant_id, user_id__in=people).values_list("user_id", "last_login_at")
    return {person: moment for person, moment in found if moment is not None}


def signing_in_themselves(tenant_id: UUID) -> QuerySet[MailUser]:
    """The mailboxes one reads by signing in with their address, oldest first: of plain mailbox people, not disabled."""
    found = MailUser.objects.filter(tenant_id=tenant_id, user__membership__role=Role.USER)
    return found.exclude(status=MailUser.Status.DISABLED).order_by("created_at", "id")


def told_of(mailbox: MailUser, level: int) -> list[str]:
    """Who is told that a mailbox fills up: its person and the company's owners.

    At 100 % nothing more reaches the mailbox itself: the person's proven recovery address stands in.
    """
    found = [] if level >= 100 else [mailbox.email]
    person = mailbox.user
    if level >= 100 and person is not None and person.recovery_email and person.recovery_email_verified_at:
        found.append(person.recovery_email)
    found += [address for address in owner_addresses(mailbox.tenant_id) if level < 100 or address != mailbox.email]
    return list(dict.fromkeys(found))
