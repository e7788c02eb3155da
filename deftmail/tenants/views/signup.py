"""Sign-up: the form, the page that says "look in your mail", the link."""

from __future__ import annotations

from typing import Any

from allauth.account.internal import flows
from allauth.account.models import Login
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from deftmail.kit.forms import refusals_on
from deftmail.kit.htmx import redirect, toast
from deftmail.kit.middleware import limited
from deftmail.kit.net import client_ip
from deftmail.tenants import actions
from deftmail.tenants.actions.signup import knows_password, pending_by_token
from deftmail.tenants.errors import AddressTaken, LinkExpired
from deftmail.tenants.forms import ConfirmSignUpForm, SignUpForm
from deftmail.tenants.guards import request_id
from deftmail.tenants.models import PendingSignup
from deftmail.tenants.signin import AccountAdapter, guess_at

STARTED = "signup_started"


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@limited("page", write="signin")  # a try costs a judged password; the sign-up itself is counted in the action
def signup(request: HttpRequest) -> HttpResponseBase:
    """The form. Its answer is the same whether the address is known or not."""
    if request.user.is_authenticated:
        return redirect(request, AccountAdapter(request).get_login_redirect_url(request))
    form = SignUpForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        said = form.cleaned_data
        with refusals_on(form):
            pending = actions.begin_signup(
                company_name=said["company_name"],
                name=said["name"],
                email=said["email"],
                password=said["password"],
                accepted=said["accept"],
                ip=client_ip(request) or None,
            )
            request.session[STARTED] = str(pending.pk)
            return redirect(request, "tenants:signup_sent")
    return render(request, "tenants/signup.html", {"form": form}, status=422 if form.is_bound else 200)


def _started(request: HttpRequest) -> PendingSignup | None:
    started: str | None = request.session.get(STARTED)
    return PendingSignup.objects.filter(pk=started).first() if started else None


@never_cache
@require_safe
@limited("page")
def signup_sent(request: HttpRequest) -> HttpResponseBase:
    """Look in your mail."""
    pending = _started(request)
    if pending is None:
        return redirect(request, "tenants:signup")
    return render(request, "tenants/signup_sent.html", {"address": pending.email})


@require_POST
@limited("signup")
def signup_again(request: HttpRequest) -> HttpResponseBase:
    """Send the link again, within the limit of mails to one address."""
    pending = _started(request)
    if pending is None:
        return redirect(request, "tenants:signup")
    actions.send_signup_again(pending_id=pending.pk)
    toast(request, _("The mail is on its way again."))
    return redirect(request, "tenants:signup_sent")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("password")
@limited("page", write="signin")
def signup_confirm(request: HttpRequest, token: str) -> HttpResponseBase:
    """The link: a page with one button, because scanners of mail follow links but send no forms.

    In another browser it asks for the password of the sign-up too: the link proves the address, and whoever only reads
    the mail must not become the owner of an account whose password a stranger chose.
    """
    try:
        pending = pending_by_token(token)
        form = None
        if request.session.get(STARTED) != str(pending.pk):
            form = ConfirmSignUpForm(request.POST if request.method == "POST" else None)
            if form.is_bound and form.is_valid():
                _check_password(request, form, pending)
        if request.method != "POST" or (form is not None and form.errors):
            context = {"pending": pending, "form": form}
            return render(request, "tenants/signup_confirm.html", context, status=422 if form and form.errors else 200)
        pending, user = actions.complete_signup(token=token, ip=client_ip(request) or None, request_id=request_id())
    except (LinkExpired, AddressTaken) as refusal:
        return _over(request, refusal)
    request.session.pop(STARTED, None)
    flows.login.record_authentication(request, user, method="signup")
    toast(request, _("Welcome. Your company is ready."), kind="success")
    return flows.login.perform_login(request, Login(user=user, email=user.email))  # type: ignore[no-any-return]


def _check_password(request: HttpRequest, form: ConfirmSignUpForm, pending: PendingSignup) -> None:
    """Put an error on the form when it is another password. Limited as sign-in is. Raises TooManyRequests."""
    with guess_at(pending.email, client_ip(request)) as forgive:
        if knows_password(pending, form.cleaned_data["password"]):
            forgive()
        else:
            form.add_error("password", _("This is not the password of this sign-up. Sign up again if you forgot it."))


def _over(request: HttpRequest, refusal: Any) -> HttpResponseBase:
    return render(request, "tenants/link_over.html", {"refusal": refusal, "signup": True}, status=refusal.status)
