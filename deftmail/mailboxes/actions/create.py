"""A new mailbox, and the person who signs in to it."""

from __future__ import annotations

import secrets

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from deftmail.domains.models import Domain
from deftmail.engine.registry import engine
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.actions.common import check_strength, quota_within, sync, tidy_name
from deftmail.mailboxes.actions.people import person_of
from deftmail.mailboxes.errors import (
    AddressInvalid,
    AddressTaken,
    DomainMailboxLimitReached,
    DomainNotProven,
    DomainNotYours,
)
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.selectors import no_room
from deftmail.mailproto.addresses import Address, parse_mailbox_address
from deftmail.mailproto.errors import AddressError
from deftmail.tenants import audit
from deftmail.tenants.access import running_company
from deftmail.tenants.actions.passwords import count_hash
from deftmail.tenants.actor import Actor
from deftmail.tenants.models import Membership, Tenant
from deftmail.tenants.policies import Action


def create_mailbox(
    *, actor: Actor, email: str, password: str = "", display_name: str = "", quota_mb: int | None = None
) -> MailUser:
    """Make a mailbox in a proven domain of the company, and its person: a new one, or the owner or admin who already
    signs in with this address (then one password serves both, the one he has; `password` is not looked at).

    quota_mb: MiB; None takes the plan's. Call outside a transaction, which would be held while the password is hashed.
    Raises AddressInvalid, DomainNotYours, DomainNotProven, AddressTaken, MailboxLimitReached,
    DomainMailboxLimitReached, QuotaInvalid, PasswordRefused, PersonHasMailbox, TooManyRequests, CompanySuspended.
    """
    actor.require(Action.MAILBOX_MANAGE)
    address = _address(email)
    display_name = tidy_name(display_name)
    # Everything that can be known without a lock is asked first: a refusal then costs no hash. The locked look decides.
    with tenant_tx(actor.tenant_id):
        _place(running_company(actor), address, quota_mb)
        joins = _is_member(actor, address.ascii)
    count_hash(actor)
    if joins:
        password = secrets.token_urlsafe(32)  # stands in where he has no password of his own
    else:
        check_strength(password, email=address.ascii, name=display_name)
    web_password = make_password(password)
    with tenant_tx(actor.tenant_id):
        return _insert(actor, address, web_password, display_name, quota_mb)


def judge_password(*, actor: Actor, password: str, email: str, display_name: str) -> None:
    """What `create_mailbox` would say to the password, where it says no to something else before. Call outside a
    transaction. Raises PasswordRefused, TooManyRequests."""
    actor.require(Action.MAILBOX_MANAGE)
    count_hash(actor)
    check_strength(password, email=email, name=display_name)


def _insert(actor: Actor, address: Address, web_password: str, display_name: str, quota_mb: int | None) -> MailUser:
    company = running_company(actor, for_update=True)
    domain, quota = _place(company, address, quota_mb)
    person = person_of(actor, address.ascii, name=display_name, web_password=web_password)
    try:
        with transaction.atomic():
            mailbox = MailUser.objects.create(
                tenant_id=actor.tenant_id,
                domain=domain,
                user=person.user,
                email=address.ascii,
                display_name=display_name or person.user.name,
                password_hash=person.password_hash,
                quota_mb=quota,
            )
    except IntegrityError:
        raise AddressTaken from None
    audit.record(
        actor,
        "mailbox.created",
        mailbox,
        after={"quota_mb": quota, "display_name": mailbox.display_name},
        joined=person.joined,
        displaced=person.displaced,
    )
    sync(mailbox)
    return mailbox


def _address(email: str) -> Address:
    try:
        address = parse_mailbox_address(email)
    except AddressError as error:
        raise AddressInvalid(error.said(_), reason=error.code) from None
    # Said here, where it can be mended: the engine would refuse it when the mailbox has its place and its person.
    server = engine().capabilities
    if len(address.ascii) > server.max_address:
        said = _("This installation's mail server takes addresses of at most %(limit)s characters.")
        raise AddressInvalid(said % {"limit": server.max_address}, reason="address_too_long")
    if address.local in server.reserved:
        raise AddressInvalid(_("The mail server keeps this name for itself. Choose another."), reason="reserved")
    return address


def _is_member(actor: Actor, email: str) -> bool:
    return Membership.objects.filter(tenant_id=actor.tenant_id, user__email=email).exists()


def _place(company: Tenant, address: Address, quota_mb: int | None) -> tuple[Domain, int | None]:
    """The domain the mailbox goes into and its quota, or why it cannot be. Final once `company` is locked."""
    name = address.domain
    domain = Domain.objects.filter(tenant_id=company.pk, domain=name.ascii).defer("dkim_private_key").first()
    if domain is None:
        raise DomainNotYours(name.unicode)
    if not domain.is_proven:
        raise DomainNotProven(name.unicode)
    of_company = MailUser.objects.filter(tenant_id=company.pk)
    if of_company.filter(email=address.ascii).exists():
        raise AddressTaken
    if full := no_room(company):
        raise full
    per_domain = company.max_users_per_domain
    if per_domain is not None and of_company.filter(domain=domain).count() >= per_domain:
        raise DomainMailboxLimitReached(name.unicode, per_domain)
    return domain, quota_within(company, quota_mb)
