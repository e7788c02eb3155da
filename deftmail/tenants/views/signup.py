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
from deftmail.tenants.actions.signup import pending_by_token
from deftmail.tenants.errors import AddressTaken, LinkExpired
from deftmail.tenants.forms import SignUpForm
from deftmail.tenants.guards import request_id
from deftmail.tenants.models import PendingSignup
from deftmail.tenants.signin import AccountAdapter

STARTED = "signup_started"


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@limited("page", write="signup")
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
@limited("page", write="write")
def signup_confirm(request: HttpRequest, token: str) -> HttpResponseBase:
    """The link: a page with one button, because scanners of mail follow links but send no forms."""
    try:
        pending = pending_by_token(token)
        if request.method != "POST":
            return render(request, "tenants/signup_confirm.html", {"pending": pending})
        pending, user = actions.complete_signup(token=token, ip=client_ip(request) or None, request_id=request_id())
    except (LinkExpired, AddressTaken) as refusal:
        return _over(request, refusal)
    if request.session.pop(STARTED, None) != str(pending.pk):
        # Another browser, perhaps another person's: the address is proven, the password is not.
        toast(request, _("Your company is ready. Sign in with your address and password."), kind="success")
        return redirect(request, "account_login")
    flows.login.record_authentication(request, user, method="signup")
    toast(request, _("Welcome. Your company is ready."), kind="success")
    return flows.login.perform_login(request, Login(user=user, email=user.email))  # type: ignore[no-any-return]


def _over(request: HttpRequest, refusal: Any) -> HttpResponseBase:
    return render(request, "tenants/link_over.html", {"refusal": refusal, "signup": True}, status=refusal.status)
