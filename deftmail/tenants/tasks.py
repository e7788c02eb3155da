"""Jobs of this room: the product's own mail to people, and tidying up.

Arguments are ids and addresses, one address a job: a second try must not repeat what others got. What is secret (the
token of a link) is made here from the row, so it lies in no queue, and an outage of Postfix only delays: the job tries
again with the same link.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import structlog
from allauth.account import app_settings as allauth_settings
from allauth.account.utils import user_pk_to_url_str
from django.contrib.sessions.backends.db import SessionStore
from django.db import transaction
from django.urls import reverse
from django.utils.timezone import now
from procrastinate.contrib.django import app

from deftmail.kit.conf import conf
from deftmail.kit.jobs import MAIL_RETRY, enqueue
from deftmail.kit.mail import send_mail_to
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants import hooks, notices
from deftmail.tenants.access import member_of
from deftmail.tenants.actions.account import Purpose, link_token
from deftmail.tenants.actions.signup import token_of
from deftmail.tenants.addresses import domain_of
from deftmail.tenants.models import Membership, PendingSignup, Role, User

log = structlog.get_logger(__name__)


def _url(name: str, *args: Any) -> str:
    return conf.base_url + reverse(name, args=args)


@app.task(retry=MAIL_RETRY)
def send_signup_mail(pending_id: str) -> None:
    """The link of a sign-up; to somebody who has an account, a mail that says so."""
    pending = PendingSignup.objects.filter(pk=pending_id, expires_at__gt=now()).first()
    if pending is None:
        return
    if User.objects.filter(email=pending.email).exists():
        send_mail_to(
            pending.email,
            "account_exists",
            {"sign_in_url": _url("account_login"), "reset_url": _url("account_reset_password")},
        )
        return
    send_mail_to(
        pending.email,
        "signup_verify",
        # Nothing the sender typed: our name must not carry a stranger's words to somebody else.
        {"url": _url("tenants:signup_confirm", token_of(pending.pk))},
    )


@app.task(retry=MAIL_RETRY)
def send_reset_mail(email: str, ip: str = "") -> None:
    """A reset link: to the person, but for a mailbox person to his proven recovery address outside the company, else a
    word to his admins.

    An address nobody has gets nothing.
    """
    user = User.objects.filter(email=email, is_active=True).first()
    if user is None:
        return
    member = member_of(user)
    mailbox, outside = False, bool(user.recovery_email and user.recovery_email_verified_at)
    if member is not None:
        with tenant_tx(member.tenant_id):
            mailbox = hooks.has_mailbox(user)
            # Proven before its domain came here, it may be a mailbox by now whose password an admin sets: nobody shall
            # come to the account of someone stronger that way.
            outside = outside and not hooks.hosts_domain(member.tenant_id, domain_of(user.recovery_email))
    if not mailbox:
        _send_link(user, user.email, ip)
    elif outside:
        _send_link(user, user.recovery_email, ip)
    elif member is not None:
        _ask_admins(user, member, ip)


def _send_link(user: User, to: str, ip: str) -> None:
    token = allauth_settings.PASSWORD_RESET_TOKEN_GENERATOR().make_token(user)
    url = _url("account_reset_password_from_key", user_pk_to_url_str(user), token)
    send_mail_to(
        to, "password_reset", {"name": user.get_short_name(), "account": user.shown_email, "url": url, "ip": ip}
    )


def _ask_admins(user: User, member: Membership, ip: str) -> None:
    # Those who may act on him, but never he himself: his own mailbox is what he cannot open.
    able = [Role.OWNER] if member.role == Role.OWNER else [Role.OWNER, Role.ADMIN]
    people = (
        User.objects.filter(membership__tenant_id=member.tenant_id, membership__role__in=able, is_active=True)
        .exclude(pk=user.pk)
        .order_by("email")[:10]
    )
    if not people:
        log.warning("password_reset_has_no_way", user=str(user.pk))
    with transaction.atomic():
        for person in people:
            enqueue(ask_admin, user_id=str(user.pk), ip=ip, to=person.email)


@app.task(retry=MAIL_RETRY)
def ask_admin(user_id: str, ip: str, to: str) -> None:
    """Tell one who may reset this person's password that he asks for it."""
    user = User.objects.filter(pk=user_id, is_active=True).first()
    member = member_of(user) if user is not None else None
    if user is None or member is None:
        return
    url = _url("tenants:member", member.pk)
    send_mail_to(to, "password_reset_admin", {"person": user.email, "name": user.name, "ip": ip, "url": url})


@app.task(retry=MAIL_RETRY)
def send_address_mail(user_id: str, purpose: Purpose) -> None:
    """The link that proves a new recovery or sign-in address."""
    user = User.objects.filter(pk=user_id).first()
    address = "" if user is None else user.recovery_pending if purpose == "recovery" else user.email_pending
    if user is None or not address:
        return
    url = _url("tenants:address_confirm", link_token(user, purpose))
    send_mail_to(address, f"{purpose}_verify", {"name": user.get_short_name(), "account": user.shown_email, "url": url})


@app.task(retry=MAIL_RETRY)
def tell_person(tenant_id: str, user_id: str, mail: str, to: str = "", also: str = "") -> None:
    """A notice about his own account, to one of his addresses (`notices.tell_person`).

    to: empty in a job that waits since the release in which one job told them all, `also` included
    """
    user = User.objects.filter(pk=user_id, membership__tenant_id=UUID(tenant_id)).first()
    if user is None:
        return
    if not to:
        with transaction.atomic():
            notices.tell_person(UUID(tenant_id), user, mail, also=also)
        return
    context = {
        "name": user.get_short_name(),
        "account": user.shown_email,
        "recovery": user.recovery_email,
        "reset_url": _url("account_reset_password"),
    }
    send_mail_to(to, mail, context)


@app.periodic(cron="23 * * * *")
@app.task(queueing_lock="tenants-tidy")
def forget_expired(timestamp: int = 0) -> None:
    """Hourly: forget sign-ups whose link has expired, with their password hashes, and sessions that are over."""
    gone, _by_model = PendingSignup.objects.filter(expires_at__lte=now()).delete()
    if gone:
        log.info("expired_signups_forgotten", count=gone)
    SessionStore.clear_expired()
