"""Sign-in: one page for owners, admins and mailbox people (django-allauth under our rules).

Each try is counted as a failure of its account and its address *before* anything is hashed, and given back when it was
right; known, unknown and displaced addresses cost two bcrypts and get one answer; each success begins a new session and
one row of the log.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend
from allauth.account.internal.stagekit import clear_login
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from deftmail.kit import ratelimit
from deftmail.kit.errors import TooManyRequests
from deftmail.kit.net import client_ip
from deftmail.kit.passwords import bare_hash, fits, verify_password
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants import audit, hooks, knownbrowser
from deftmail.tenants.access import actor_for
from deftmail.tenants.actions.account import follow_browser
from deftmail.tenants.actions.passwords import reset_own_password
from deftmail.tenants.addresses import as_typed
from deftmail.tenants.displaced import former_holders
from deftmail.tenants.guards import actor_of, forget_actor
from deftmail.tenants.models import Role, User

WRONG = gettext_lazy("The address or the password is wrong.")


@contextmanager
def guess_at(account: str, ip: str) -> Iterator[Callable[[], object]]:
    """Around a look at a password: count it as wrong before anything is hashed, so that many at once cannot outrun the
    limits of the account and of the address; call what is yielded when it was right. Raises TooManyRequests.

    account: as typed, known or not (the gate counts the same), or the account in a browser that knows it
    (`knownbrowser.counted_as`)
    """
    verdict = ratelimit.wrong_passwords(account, ip)
    if not verdict.allowed:
        minutes = max(1, -(-verdict.retry_after // 60))
        raise TooManyRequests(
            _("Too many wrong passwords. Wait %(n)d min, or reset your password.") % {"n": minutes},
            retry_after=verdict.retry_after,
        )
    try:
        yield lambda: ratelimit.wrong_passwords(account, ip, cost=-1)
    except BaseException:
        ratelimit.wrong_passwords(account, ip, cost=-1)  # an outage is nobody's wrong password
        raise


@functools.cache
def _nobody() -> str:
    """A hash at the real cost of a password nobody has: what an unknown address is compared with."""
    return bare_hash(make_password(secrets.token_urlsafe(32)))


def _holders(email: str) -> Iterator[User | None]:
    """Who signs in by this address: its present holder, then whoever lost it. None, to be compared with nobody's
    password, where there is no such person, so that time tells neither (an address lost twice takes longer: accepted).
    """
    yield User.objects.filter(email=email).first()
    yield from former_holders(email) or (None,)


class PasswordBackend(AuthenticationBackend):
    """One address, two bcrypts where the first is no, one answer."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> AbstractBaseUser | None:
        """The person, or None. Takes the same time whether the address is known, and for passwords over 72 bytes."""
        password = str(credentials.get("password") or "")
        email = as_typed(str(credentials.get("email") or credentials.get("username") or ""))
        for user in _holders(email):
            hashed = bare_hash(user.password) if user is not None and user.has_usable_password() else _nobody()
            # bcrypt refuses over 72 bytes: then compare something else for as long, and the answer is no.
            right = verify_password(password if fits(password) else "-", hashed) and fits(password)
            if user is not None and right:
                if user.is_active:
                    return user
                self._stash_user(user)
                return None
        return None

    def get_user(self, user_id: Any) -> User | None:
        """The person of a session, with his membership in the same look-up: every page asks for both."""
        user = User.objects.select_related("membership").filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None


class AccountAdapter(DefaultAccountAdapter):
    """Our answers to allauth's questions."""

    error_messages = {  # noqa: RUF012  # allauth reads a dict of the class
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": WRONG,
        "incorrect_password": gettext_lazy("This is not your password."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Never by allauth's way: sign-up is ours (actions.signup)."""
        return False

    def is_ajax(self, request: HttpRequest) -> bool:
        """One form of answer, so that nothing tells more to a script than to a person."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_ip(request)

    def is_safe_url(self, url: str | None) -> bool:
        """`next` leads nowhere but to this host."""
        here = {self.request.get_host()}
        return bool(url) and url_has_allowed_host_and_scheme(url, here, require_https=self.request.is_secure())

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Owners and admins land in the console, users in their mail, who lost his address in his account."""
        actor = actor_of(request)
        if actor is None:
            return reverse("office:cases") if request.user.is_operator else "/"  # type: ignore[union-attr]
        if request.user.former_email:  # type: ignore[union-attr]
            return reverse("tenants:account")
        try:
            return reverse("webmail:index" if actor.role == Role.USER else "web:overview")
        except NoReverseMatch:  # an installation without that room
            return reverse("tenants:account")

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """The person whose password it is, or None. Raises TooManyRequests before any hashing."""
        email = as_typed(str(credentials.get("email", "")))
        with guess_at(knownbrowser.counted_as(request, email), client_ip(request)) as forgive:
            user: AbstractBaseUser | None = super().authenticate(request, **credentials)
            if user is not None:
                forgive()
        return user

    def reauthenticate(self, user: AbstractBaseUser, password: str) -> bool:
        """Is it his password? Under the same limits as sign-in."""
        assert isinstance(user, User)
        found = self.authenticate(self.request, email=user.shown_email, password=password)
        return found is not None and found.pk == user.pk

    def pre_login(self, request: HttpRequest, user: AbstractBaseUser, **kwargs: Any) -> HttpResponse | None:
        """After the password was right: may he come in? Other rooms say no through `hooks.may_sign_in_hooks`."""
        assert isinstance(user, User)
        reason = "" if user.is_active else _("This account is closed. Ask an owner of your company.")
        actor = actor_for(user)
        if not reason and actor is not None:
            with tenant_tx(actor.tenant_id):
                reason = hooks.refusal_to_sign_in(user)
        if not reason:
            return None
        clear_login(request)
        return render(request, "account/account_inactive.html", {"reason": reason}, status=403)

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        """Begin a new session and write it down."""
        assert isinstance(user, User)
        super().login(request, user)
        forget_actor(request)
        follow_browser(user=user, timezone=request.POST.get("timezone", ""))
        actor, agent = actor_of(request), request.headers.get("User-Agent", "")[:200]
        if actor is not None:
            with tenant_tx(actor.tenant_id):
                audit.record(actor, "session.started", agent=agent)
                for hook in hooks.signed_in_hooks:
                    hook(user)
        elif user.is_operator:
            ip = client_ip(request) or None
            audit.record_operator(f"Operator {user.email}", "session.started", ip=ip, agent=agent)

    def post_login(self, request: HttpRequest, user: AbstractBaseUser, **kwargs: Any) -> HttpResponse:
        """The way on; this browser is known from now."""
        assert isinstance(user, User)
        response: HttpResponse = super().post_login(request, user, **kwargs)
        knownbrowser.remember(response, user.shown_email)
        return response

    def logout(self, request: HttpRequest) -> None:
        super().logout(request)
        forget_actor(request)

    def set_password(self, user: AbstractBaseUser, password: str) -> None:
        """By a reset link (everything else calls the action itself)."""
        assert isinstance(user, User)
        reset_own_password(user=user, password=password, ip=client_ip(self.request) or None)

    def clean_password(self, password: str, user: AbstractBaseUser | None = None) -> str:
        """Judged in the action, once: a second opinion here would say the same twice."""
        return password

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """The pages say what happened in our words."""

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Mail leaves by jobs only (tasks.py), so that an outage of Postfix neither loses it nor stops a page."""
        raise NotImplementedError(template_prefix)
