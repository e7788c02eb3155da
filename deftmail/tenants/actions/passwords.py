"""The one way a password is set, whoever sets it and wherever."""

from __future__ import annotations

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from deftmail.kit import ratelimit
from deftmail.kit.errors import Invalid, NotFound, TooManyRequests
from deftmail.kit.passwords import bare_hash
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants import audit, hooks, notices
from deftmail.tenants.access import actor_for
from deftmail.tenants.actor import Actor
from deftmail.tenants.models import Membership, User
from deftmail.tenants.policies import Action


def strong(password: str, user: User | None = None, *, field: str = "password") -> str:
    """The password, if it is good enough. Raises Invalid on `field` with one sentence that says what to do."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid(error.messages[0], field=field) from None
    return password


def count_hash(actor: Actor) -> None:
    """Call before a password is judged and hashed: either takes up to 0.3 s of a core, so they have a limit of their
    own. Outside a transaction, which would hold a connection meanwhile. Raises TooManyRequests."""
    whose = f"person:{actor.user_id}" if actor.user_id else f"company:{actor.tenant_id}"
    verdict = ratelimit.hit("hashing", whose)
    if not verdict.allowed:
        raise TooManyRequests(
            _("Too many passwords were set in the last minute. Wait a moment and go on."),
            retry_after=verdict.retry_after,
        )


def require_power_over(actor: Actor, user: User, own: Action) -> Membership:
    """The person's membership, if the actor may act on him: himself with `own`, others as one who manages people and
    is not weaker. Raises NotFound for another company's person, Forbidden."""
    member = Membership.objects.filter(tenant_id=actor.tenant_id, user=user).first()
    if member is None:
        raise NotFound
    if actor.user_id == user.pk:
        actor.require(own)
    else:
        actor.require(Action.PEOPLE_MANAGE)
        actor.require_not_stronger(member.role)
    return member


def set_password(
    *, actor: Actor, user: User, password: str, how: str = "changed", stored: str | None = None, field: str = "password"
) -> str:
    """Set the one password of a person: web and, through `hooks.password_changed_hooks`, mail programs.

    Ends every session of the person (a view keeps its own by `update_session_auth_hash`), writes the log, sends a
    notice. Returns the bare `$2b$12$…` hash.

    how: `changed` or `reset`, for the log and the notice
    stored: Django's stored form, where the caller has checked and hashed the password already (one bcrypt, not two)
    Raises Invalid on `field`, TooManyRequests, Forbidden (someone stronger), NotFound (another company's person).
    """
    require_power_over(actor, user, Action.PROFILE_CHANGE)
    if stored is None:
        count_hash(actor)
        stored = make_password(strong(password, user, field=field))
    with tenant_tx(actor.tenant_id):
        user.password = stored
        user.save(update_fields=["password"])
        for hook in hooks.password_changed_hooks:
            hook(user, bare_hash(stored))
        audit.record(actor, f"password.{how}", user, own=actor.user_id == user.pk)
        notices.tell_person(actor.tenant_id, user, "password_changed")
    return bare_hash(stored)


def reset_own_password(*, user: User, password: str, ip: str | None, request_id: str = "") -> None:
    """Set the password of somebody who came by a reset link. Staff without a company just get it set."""
    actor = actor_for(user, ip=ip, request_id=request_id)
    if actor is not None:
        set_password(actor=actor, user=user, password=password, how="reset", field="password1")
        return
    user.password = make_password(strong(password, user, field="password1"))
    with transaction.atomic():
        user.save(update_fields=["password"])
        audit.record_operator(f"Operator {user.email}", "password.reset", ip=ip, request_id=request_id)


@transaction.atomic
def end_sessions(*, actor: Actor, user: User) -> None:
    """Sign the person out everywhere on the web, at once. Raises Forbidden, NotFound."""
    require_power_over(actor, user, Action.PROFILE_CHANGE)
    with tenant_tx(actor.tenant_id):
        user.session_epoch += 1
        user.save(update_fields=["session_epoch"])
        audit.record(actor, "sessions.ended", user, own=actor.user_id == user.pk)
