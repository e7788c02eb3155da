"""A person's own account."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from deftmail.kit.forms import refusals_on
from deftmail.kit.htmx import redirect, toast
from deftmail.kit.middleware import limited
from deftmail.kit.net import client_ip
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants import actions, hooks
from deftmail.tenants.actions.account import read_link
from deftmail.tenants.actor import Actor
from deftmail.tenants.errors import AddressFixed, AddressTaken, LinkExpired
from deftmail.tenants.forms import ChangePasswordForm, EmailForm, ProfileForm, RecoveryForm
from deftmail.tenants.guards import request_id, require_fresh_sign_in, signed_in
from deftmail.tenants.models import User
from deftmail.tenants.policies import Action
from deftmail.tenants.signin import AccountAdapter


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _page(request: HttpRequest, actor: Actor, **changes: Any) -> HttpResponseBase:
    user = _user(request)
    console = actor.can(Action.CONSOLE_VIEW)
    mailbox = hooks.has_mailbox(user)
    context = {
        "layout": "tenants/console_layout.html" if console else "tenants/person_layout.html",
        "person": user,
        "has_mailbox": mailbox,
        "profile": ProfileForm(initial={"name": user.name, "timezone": user.timezone}),
        "recovery": RecoveryForm(initial={"recovery_email": user.recovery_pending or user.recovery_email}),
        "new_email": EmailForm(initial={"email": user.email_pending}),
        **changes,
    }
    refused = any(getattr(form, "is_bound", False) for form in changes.values())
    return render(request, "tenants/account.html", context, status=422 if refused else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in(Action.PROFILE_CHANGE)
def account(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """Name and time zone, the way to everything else of the account."""
    if request.method != "POST":
        return _page(request, actor)
    form = ProfileForm(request.POST)
    if form.is_valid():
        with refusals_on(form):
            actions.change_profile(actor=actor, user=_user(request), **form.cleaned_data)
            toast(request, _("Your account was saved."))
            return redirect(request, "tenants:account")
    return _page(request, actor, profile=form)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in(Action.PROFILE_CHANGE, write="mail_link")
def recovery(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """Ask for another recovery address, or for none. Needs the password again: it opens the account."""
    require_fresh_sign_in(request)
    if request.method != "POST":
        return redirect(request, "tenants:account")
    form = RecoveryForm(request.POST)
    if form.is_valid():
        with refusals_on(form):
            wanted = form.cleaned_data["recovery_email"]
            actions.request_recovery(actor=actor, user=_user(request), address=wanted)
            said = _("We sent a link to %(address)s. The address counts once you used it.") % {"address": wanted}
            toast(request, said if wanted else _("You have no recovery address now."))
            return redirect(request, "tenants:account")
    return _page(request, actor, recovery=form)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in(Action.PROFILE_CHANGE, write="mail_link")
def email(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """Ask to sign in with another address. Raises AddressFixed for somebody with a mailbox, whose page has no form."""
    require_fresh_sign_in(request)
    if hooks.has_mailbox(_user(request)):
        raise AddressFixed
    if request.method != "POST":
        return redirect(request, "tenants:account")
    form = EmailForm(request.POST)
    if form.is_valid():
        with refusals_on(form):
            wanted = form.cleaned_data["email"]
            actions.request_email(actor=actor, user=_user(request), address=wanted)
            toast(
                request, _("We sent a link to %(address)s. The address counts once you used it.") % {"address": wanted}
            )
            return redirect(request, "tenants:account")
    return _page(request, actor, new_email=form)


@require_POST
@signed_in(Action.PROFILE_CHANGE)
def forget(request: HttpRequest, actor: Actor, purpose: str) -> HttpResponseBase:
    """Withdraw a new address that waits for its link."""
    actions.forget_pending(actor=actor, user=_user(request), purpose="email" if purpose == "email" else "recovery")
    toast(request, _("The request was withdrawn."))
    return redirect(request, "tenants:account")


@require_POST
@signed_in(Action.PROFILE_CHANGE)
def end_sessions(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """Sign out every other browser."""
    user = _user(request)
    actions.end_sessions(actor=actor, user=user)
    update_session_auth_hash(request, user)
    toast(request, _("Every other browser was signed out."))
    return redirect(request, "tenants:account")


@never_cache
@sensitive_post_parameters("current", "password")
@require_http_methods(["GET", "HEAD", "POST"])
@signed_in(Action.PROFILE_CHANGE, write="signin", transaction=False)
def change_password(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """The old password and the new. This session goes on, every other one ends."""
    user = _user(request)
    form = ChangePasswordForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        with refusals_on(form):
            if not AccountAdapter(request).reauthenticate(user, form.cleaned_data["current"]):
                form.add_error("current", _("This is not your password."))
            else:
                actions.set_password(actor=actor, user=user, password=form.cleaned_data["password"])
                update_session_auth_hash(request, user)
                toast(request, _("Your password was changed. Every other browser was signed out."))
                return redirect(request, "tenants:account")
    with tenant_tx(actor.tenant_id):
        has_mailbox = hooks.has_mailbox(user)
    context = {
        "form": form,
        "layout": "tenants/console_layout.html" if actor.can(Action.CONSOLE_VIEW) else "tenants/person_layout.html",
        "has_mailbox": has_mailbox,
    }
    return render(request, "tenants/change_password.html", context, status=422 if form.is_bound else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@limited("page", write="write")
def address_confirm(request: HttpRequest, token: str) -> HttpResponseBase:
    """The link to a new recovery or sign-in address: a page with one button, for whoever reads that mail."""
    try:
        if request.method != "POST":
            person, purpose, address = read_link(token)
            context = {"purpose": purpose, "address": address, "account": person.shown_email}
            return render(request, "tenants/address_confirm.html", context)
        _person, purpose = actions.confirm_address(token=token, ip=client_ip(request) or None, request_id=request_id())
    except (LinkExpired, AddressTaken, AddressFixed) as refusal:
        return render(request, "tenants/link_over.html", {"refusal": refusal}, status=refusal.status)
    said = (
        _("You sign in with this address from now on.")
        if purpose == "email"
        else _("Your recovery address counts now.")
    )
    toast(request, said, kind="success")
    return redirect(request, "tenants:account" if request.user.is_authenticated else "account_login")
