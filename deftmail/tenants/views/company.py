"""The company's settings: its name, its API keys, its log."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.dateparse import parse_date
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from deftmail.kit.confirm import ConfirmForm, confirm_page
from deftmail.kit.forms import refusals_on
from deftmail.kit.htmx import redirect, toast
from deftmail.tenants import actions, selectors
from deftmail.tenants.access import apikey_for, company_of
from deftmail.tenants.actor import Actor
from deftmail.tenants.forms import ApiKeyForm, CompanyForm
from deftmail.tenants.guards import require_fresh_sign_in, signed_in
from deftmail.tenants.logwords import LogLine
from deftmail.tenants.policies import Action


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in(Action.COMPANY_CHANGE)
def settings(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """The company's name, its plan and ceilings."""
    company = company_of(actor)
    form = CompanyForm(
        request.POST if request.method == "POST" else None, initial={"company_name": company.company_name}
    )
    if form.is_bound and form.is_valid():
        with refusals_on(form):
            actions.rename_company(actor=actor, company_name=form.cleaned_data["company_name"])
            toast(request, _("The company was saved."))
            return redirect(request, "tenants:settings")
    quota = (company.mailbox_quota_mb or 0) * 1024 * 1024
    context = {"form": form, "company": company, "quota_bytes": quota, "section": "settings", "on_company": True}
    return render(request, "tenants/settings.html", context, status=422 if form.is_bound else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@signed_in(Action.APIKEY_MANAGE)
def apikeys(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """The keys, and a form for a new one. The key itself is in this one answer and nowhere else."""
    company = company_of(actor)
    keys = selectors.api_keys(actor)
    context = {"company": company, "section": "settings", "on_apikeys": True, "keys": keys, "now": now()}
    if not company.api_access:
        context["plans"] = ", ".join(plan.name for plan in selectors.plans_with_api())
        return render(request, "tenants/apikeys_locked.html", context, status=403 if request.method == "POST" else 200)
    form = ApiKeyForm(request.POST if request.method == "POST" else None)
    if form.is_bound:
        require_fresh_sign_in(request)
    if form.is_bound and form.is_valid():
        days = form.cleaned_data["expires"]
        with refusals_on(form):
            key, raw = actions.create_api_key(
                actor=actor,
                name=form.cleaned_data["name"],
                scopes=form.cleaned_data["scopes"],
                expires_at=None if days == ApiKeyForm.NEVER else now() + timedelta(days=int(days)),
            )
            return render(request, "tenants/apikey_made.html", {**context, "key": key, "raw": raw}, status=201)
    return render(request, "tenants/apikeys.html", {**context, "form": form}, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in(Action.APIKEY_MANAGE)
def revoke_apikey(request: HttpRequest, actor: Actor, key_id: UUID) -> HttpResponseBase:
    """Ask by typing, then revoke: what uses the key stops working at once."""
    key = apikey_for(actor, key_id)
    form = ConfirmForm(request.POST if request.method == "POST" else None, phrase=key.name)
    if form.is_bound and form.is_valid():
        actions.revoke_api_key(actor=actor, key_id=key_id)
        toast(request, _("The key %(name)s was revoked.") % {"name": key.name})
        return redirect(request, "tenants:apikeys")
    lines = [
        _("Whatever uses this key is refused from now on."),
        _("It cannot be brought back; make a new key instead."),
    ]
    return confirm_page(
        request,
        form,
        title=_("Revoke %(name)s") % {"name": key.name},
        lines=lines,
        submit=_("Revoke key"),
        cancel_url=reverse("tenants:apikeys"),
    )


@require_safe
@signed_in(Action.AUDIT_VIEW)
def logs(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """Who did what, from where, and what changed."""
    search = request.GET.get("q", "").strip()[:200]
    since, until = _day(request.GET.get("from", "")), _day(request.GET.get("to", ""))
    page = selectors.logs(
        actor,
        search=search,
        since=since,
        until=until,
        older=request.GET.get("older", ""),
        newer=request.GET.get("newer", ""),
    )
    plans = selectors.plan_names()
    context = {
        "lines": [LogLine(row, plans) for row in page.rows],
        "page": page,
        "search": search,
        "since": since,
        "until": until,
        "filtered": bool(search or since or until),
        "section": "logs",
    }
    return render(request, "tenants/logs.html", context)


def _day(text: str) -> date | None:
    """A day of a date field; None for what is none, and for one no clock of ours shows."""
    try:
        day = parse_date(text)
    except ValueError:
        return None
    return day if day is not None and 1970 <= day.year <= 9998 else None
