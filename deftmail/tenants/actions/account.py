"""A person's own matters: name, time zone, recovery address, sign-in address."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from allauth.account.models import EmailAddress
from django.core import signing
from django.db import IntegrityError, transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from deftmail.kit import ratelimit
from deftmail.kit.errors import Forbidden, Invalid, TooManyRequests
from deftmail.kit.jobs import enqueue
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants import audit, hooks, notices
from deftmail.tenants.access import actor_for, company_of
from deftmail.tenants.actions.company import tidy_name
from deftmail.tenants.actor import Actor
from deftmail.tenants.addresses import canonical, domain_of
from deftmail.tenants.errors import AddressFixed, AddressTaken, LinkExpired, OwnDomain
from deftmail.tenants.models import User
from deftmail.tenants.policies import Action
from deftmail.tenants.timezones import zones

Purpose = Literal["recovery", "email"]
LINK_LIVES = timedelta(hours=24)
_COLUMN: dict[Purpose, str] = {"recovery": "recovery_pending", "email": "email_pending"}
_SALT = "deftmail.tenants.address"


def _own(actor: Actor, user: User) -> None:
    actor.require(Action.PROFILE_CHANGE)
    if actor.user_id != user.pk:
        raise Forbidden


@transaction.atomic
def change_profile(*, actor: Actor, user: User, name: str, timezone: str) -> User:
    """Change one's own name and time zone. Raises Invalid on the field."""
    _own(actor, user)
    if timezone not in zones():
        raise Invalid(_("Choose a time zone of the list."), field="timezone")
    before = {"name": user.name, "timezone": user.timezone}
    user.name, user.timezone = tidy_name(name, field="name"), timezone
    after = {"name": user.name, "timezone": user.timezone}
    if before != after:
        user.timezone_chosen = user.timezone_chosen or before["timezone"] != timezone
        user.save(update_fields=["name", "timezone", "timezone_chosen"])
        audit.record(actor, "person.profile_changed", user, before=before, after=after)
    return user


def follow_browser(*, user: User, timezone: str) -> None:
    """Take the zone his browser names when he signs in, unless he chose one himself. What is no zone is left alone.

    A fact, not an act of his, so not audited.
    """
    if timezone in zones() and timezone != user.timezone:
        rows = User.objects.filter(pk=user.pk, timezone_chosen=False)
        if rows.update(timezone=timezone):
            user.timezone = timezone


@transaction.atomic
def request_recovery(*, actor: Actor, user: User, address: str) -> User:
    """Ask for a recovery address, "" to have none. It counts once its link is used; the old one serves till then.

    Raises Invalid, OwnDomain, TooManyRequests.
    """
    _own(actor, user)
    if not address.strip():
        if user.recovery_email or user.recovery_pending:
            before = {"recovery_email": user.recovery_email}
            user.recovery_email, user.recovery_pending, user.recovery_email_verified_at = "", "", None
            user.save(update_fields=["recovery_email", "recovery_pending", "recovery_email_verified_at"])
            audit.record(actor, "person.recovery_removed", user, before=before, after={"recovery_email": ""})
        return user
    wanted = canonical(address, field="recovery_email")
    if wanted == user.email:
        raise Invalid(_("This is the address you sign in with. Choose another."), field="recovery_email")
    if hooks.hosts_domain(actor.tenant_id, domain_of(wanted)):
        raise OwnDomain(field="recovery_email")
    return _ask(actor, user, "recovery", wanted)


@transaction.atomic
def request_email(*, actor: Actor, user: User, address: str) -> User:
    """Ask to sign in with another address. It counts once its link is used.

    Whether somebody has it already is said only to him who proves it. Raises Invalid, AddressFixed, TooManyRequests.
    """
    _own(actor, user)
    if hooks.has_mailbox(user):
        raise AddressFixed(field="email")
    wanted = canonical(address)
    if wanted == user.email:
        raise Invalid(_("You sign in with this address already."), field="email")
    return _ask(actor, user, "email", wanted)


def _ask(actor: Actor, user: User, purpose: Purpose, wanted: str) -> User:
    verdict = ratelimit.hit("mail_link", f"{purpose}:{wanted}", f"{purpose}-of:{user.pk}")
    if not verdict.allowed:
        raise TooManyRequests(retry_after=verdict.retry_after)
    setattr(user, _COLUMN[purpose], wanted)
    user.save(update_fields=[_COLUMN[purpose]])
    audit.record(actor, f"person.{purpose}_requested", user, address=wanted)
    from deftmail.tenants.tasks import send_address_mail

    enqueue(send_address_mail, user_id=str(user.pk), purpose=purpose)
    return user


@transaction.atomic
def forget_pending(*, actor: Actor, user: User, purpose: Purpose) -> User:
    """Withdraw a request; its link stops working."""
    _own(actor, user)
    if waiting := getattr(user, _COLUMN[purpose]):
        setattr(user, _COLUMN[purpose], "")
        user.save(update_fields=[_COLUMN[purpose]])
        audit.record(actor, f"person.{purpose}_withdrawn", user, address=waiting)
    return user


def link_token(user: User, purpose: Purpose) -> str:
    """The signed token of the link to the address that waits."""
    return signing.dumps([str(user.pk), purpose, getattr(user, _COLUMN[purpose])], salt=_SALT)


def read_link(token: str, *, for_update: bool = False) -> tuple[User, Purpose, str]:
    """Whose, which and what address a link proves. Raises LinkExpired, also when he asked for another meanwhile."""
    try:
        user_id, purpose, address = signing.loads(token, salt=_SALT, max_age=LINK_LIVES)
    except (signing.BadSignature, ValueError):
        raise LinkExpired from None
    rows = User.objects.select_for_update() if for_update else User.objects.all()
    user = rows.filter(pk=user_id, is_active=True).first()
    if user is None or not address or getattr(user, _COLUMN[purpose]) != address:
        raise LinkExpired
    return user, purpose, address


@transaction.atomic
def confirm_address(*, token: str, ip: str | None, request_id: str = "") -> tuple[User, Purpose]:
    """Make the proven address count. The old address is told. Raises LinkExpired, AddressTaken."""
    user, purpose, address = read_link(token, for_update=True)
    actor = actor_for(user, ip=ip, request_id=request_id)
    if actor is None:
        raise LinkExpired
    # The address that loses its part is told too. Of a displaced person it is an `.invalid` one, which gets nothing.
    old = user.recovery_email if purpose == "recovery" else user.email
    with tenant_tx(actor.tenant_id):
        if purpose == "recovery":
            before = {"recovery_email": user.recovery_email}
            user.recovery_email, user.recovery_email_verified_at, user.recovery_pending = address, now(), ""
            user.save(update_fields=["recovery_email", "recovery_email_verified_at", "recovery_pending"])
            audit.record(actor, "person.recovery_changed", user, before=before, after={"recovery_email": address})
        else:
            before = {"email": user.email}
            _move(actor, user, address)
            audit.record(actor, "person.email_changed", user, before=before, after={"email": address})
    notices.tell_person(actor.tenant_id, user, f"{purpose}_changed", also=old)
    return user, purpose


def _move(actor: Actor, user: User, address: str) -> None:
    if hooks.has_mailbox(user):
        raise AddressFixed
    old = user.email
    user.email, user.email_pending, user.former_email = address, "", ""
    try:
        with transaction.atomic():
            user.save(update_fields=["email", "email_pending", "former_email"])
            EmailAddress.objects.filter(user=user).delete()
            EmailAddress.objects.create(user=user, email=address, verified=True, primary=True)
            company = company_of(actor, for_update=True)
            if company.owner_email == old:
                company.owner_email = address
                company.save(update_fields=["owner_email", "updated_at"])
    except IntegrityError:
        raise AddressTaken from None
