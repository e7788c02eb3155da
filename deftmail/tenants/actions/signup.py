"""Sign-up: an intention that reserves nothing, and the company it becomes when its link is used.

The request never looks whether the address is known: it hashes the password, writes one row and one job, always. The
job decides which mail goes out (a link, or "you have an account already"), so neither page, status nor time tells.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from uuid import UUID, uuid4

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils.crypto import salted_hmac
from django.utils.timezone import now
from django.utils.translation import gettext as _

from deftmail.kit import legal, ratelimit
from deftmail.kit.errors import Invalid, TooManyRequests
from deftmail.kit.jobs import enqueue
from deftmail.kit.passwords import bare_hash, fits, verify_password
from deftmail.tenants.actions.company import create_company, tidy_name
from deftmail.tenants.actions.passwords import strong
from deftmail.tenants.addresses import canonical
from deftmail.tenants.errors import AddressTaken, LinkExpired
from deftmail.tenants.models import PendingSignup, Plan, User

LINK_LIVES = timedelta(hours=24)
TRIAL_PLAN = "starter"


def token_of(pending_id: UUID) -> str:
    """The secret of the link. Made from the row's id and the installation's key, so the mailing job can make it again
    on each attempt, while neither the row (a SHA-256) nor the job's arguments hold it."""
    return salted_hmac("deftmail.tenants.signup", str(pending_id), algorithm="sha256").hexdigest()


def hash_of(token: str) -> str:
    """How the row knows its token."""
    return hashlib.sha256(token.encode()).hexdigest()


def begin_signup(
    *, company_name: str, name: str, email: str, password: str, accepted: bool, ip: str | None
) -> PendingSignup:
    """Note the intention and send the mail. Raises Invalid on the field, and TooManyRequests for the sign-ups of one
    network (a refused form is none) and the mails to one address."""
    address = canonical(email)
    company = tidy_name(company_name)
    person = tidy_name(name, field="name")
    if not accepted:
        raise Invalid(_("Please accept the terms and the privacy policy to go on."), field="accept")
    judged = User(email=address, name=person)
    judged.company_name = company  # type: ignore[attr-defined]  # a word the password must not be made of
    strong(password, judged)
    verdict = ratelimit.hit("signup", "address:" + ratelimit.address_key(ip or ""))
    if not verdict.allowed:
        raise TooManyRequests(
            _("Several companies were signed up from your network in the last hour. Try again later."),
            retry_after=verdict.retry_after,
        )
    _count_mail(address)
    pending_id, stored = uuid4(), make_password(password)
    with transaction.atomic():
        pending: PendingSignup = PendingSignup.objects.create(
            id=pending_id,
            token_hash=hash_of(token_of(pending_id)),
            email=address,
            company_name=company,
            owner_name=person,
            password=stored,
            plan=Plan.objects.get(pk=TRIAL_PLAN),
            terms_version=legal.TERMS_VERSION,
            privacy_version=legal.PRIVACY_VERSION,
            ip_address=ip,
            expires_at=now() + LINK_LIVES,
        )
        _enqueue_mail(pending)
    return pending


def send_signup_again(*, pending_id: UUID | str) -> PendingSignup:
    """Send the same link again. Raises LinkExpired, TooManyRequests."""
    pending = PendingSignup.objects.filter(pk=pending_id, expires_at__gt=now()).first()
    if pending is None:
        raise LinkExpired
    _count_mail(pending.email)
    _enqueue_mail(pending)
    return pending


def pending_by_token(token: str) -> PendingSignup:
    """The living intention of a link. Raises LinkExpired."""
    pending = PendingSignup.objects.filter(token_hash=hash_of(token), expires_at__gt=now()).first()
    if pending is None:
        raise LinkExpired
    return pending


def knows_password(pending: PendingSignup, password: str) -> bool:
    """Whether `password` is the one the sign-up was made with."""
    return fits(password) and verify_password(password, bare_hash(pending.password))


@transaction.atomic
def complete_signup(*, token: str, ip: str | None, request_id: str = "") -> tuple[PendingSignup, User]:
    """Make the company, its owner and its trial. The link and every other one to this address are then used up.

    Raises LinkExpired, AddressTaken.
    """
    pending = pending_by_token(token)
    # All of one address, in one order: two of its links used at the same moment would wait for each other.
    rows = PendingSignup.objects.select_for_update().filter(email=pending.email).order_by("pk")
    if pending.pk not in {row.pk for row in rows}:
        raise LinkExpired
    if User.objects.filter(email=pending.email).exists():
        raise AddressTaken
    _tenant, user = create_company(
        actor_label=pending.email,
        company_name=pending.company_name,
        owner_email=pending.email,
        owner_name=pending.owner_name,
        stored_password=pending.password,
        plan=Plan.objects.get(pk=pending.plan_id),
        trial=True,
        terms_version=pending.terms_version,
        privacy_version=pending.privacy_version,
        ip=ip,
        request_id=request_id,
    )
    PendingSignup.objects.filter(email=pending.email).delete()
    return pending, user


def _count_mail(address: str) -> None:
    verdict = ratelimit.hit("mail_link", "signup:" + address)
    if not verdict.allowed:
        raise TooManyRequests(
            _("Several mails went to this address already. Look in its junk folder, or try again later."),
            retry_after=verdict.retry_after,
        )


def _enqueue_mail(pending: PendingSignup) -> None:
    from deftmail.tenants.tasks import send_signup_mail

    enqueue(send_signup_mail, pending_id=str(pending.pk))
