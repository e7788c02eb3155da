"""The company's sending: what is used, what is left, what is stopped, and the way to a person."""

from __future__ import annotations

from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect as plain_redirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from deftmail.domains.selectors import domains_of
from deftmail.kit.forms import refusals_on
from deftmail.kit.htmx import redirect, toast
from deftmail.mailboxes.access import mailbox_for
from deftmail.mailboxes.pages import shown_address
from deftmail.sending import meters, selectors
from deftmail.sending.forms import AppealForm, MoreForm
from deftmail.sending.limits import LIMITS
from deftmail.sending.pages import DEFAULT_SORT, BlockLine, Line, block_lines, sorted_mailboxes
from deftmail.sending.reviews import actions as reviews
from deftmail.sending.reviews.access import block_for
from deftmail.sending.reviews.selectors import cases_of
from deftmail.tenants.access import company_of
from deftmail.tenants.actor import Actor
from deftmail.tenants.guards import signed_in
from deftmail.tenants.policies import Action

PAGE_SIZE = 25
DOMAINS_SHOWN = 10
CHOICES_AT_MOST = 200


@require_GET
@signed_in(Action.MAIL_USE)
def door(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """Where the address in every refusal leads: the console's meter, or one's own mail and a word on whom to ask."""
    if actor.can(Action.CONSOLE_VIEW):
        return plain_redirect("sending:meter")
    toast(request, _("What you have sent stands below your folders. For more, ask an administrator of your company."))
    return plain_redirect("webmail:index")


@require_GET
@signed_in(Action.MAILBOX_VIEW)
def meter(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """Blocks, domains, mailboxes with what they used, and the company's cases."""
    company = company_of(actor)
    search = request.GET.get("q", "").strip()
    found = sorted_mailboxes(actor.tenant_id, search, request.GET.get("sort", DEFAULT_SORT))
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    rows = list(page)
    used = meters.of_mailboxes(company, rows)
    domains = list(domains_of(actor)[:DOMAINS_SHOWN])
    domains_used = meters.of_domains(company, domains)
    cases = cases_of(actor.tenant_id)
    context = {
        "blocks": block_lines(selectors.active_blocks(actor.tenant_id), cases),
        "known": used is not None,
        "domains": [(domain, (domains_used or {}).get(domain.pk, {}).get("domain_day")) for domain in domains],
        "page": page,
        "rows": [Line(row, (used or {}).get(row.pk, {})) for row in rows],
        "search": search,
        "cases": cases,
        "may_ask": actor.can(Action.COMPANY_CHANGE),
        "company": company,
        "section": "sending",
    }
    return render(request, "sending/meter.html", context)


@require_GET
@signed_in(Action.MAILBOX_VIEW)
def mailbox(request: HttpRequest, actor: Actor, mailbox_id: UUID) -> HttpResponseBase:
    """Every limit of one mailbox, and what stops it."""
    row = mailbox_for(actor, mailbox_id)
    company = company_of(actor)
    used = meters.of_mailboxes(company, [row])
    shown = (used or {}).get(row.pk, {})
    blocks = [
        each
        for each in selectors.active_blocks(actor.tenant_id)
        if each.mail_user_id in (None, row.pk) and each.domain_id in (None, row.domain_id)
    ]
    context = {
        "mailbox": row,
        "address": shown_address(row),
        "known": used is not None,
        "meters": [shown[limit.name] for limit in LIMITS if limit.name in shown],
        "blocks": block_lines(blocks, cases_of(actor.tenant_id)),
        "may_ask": actor.can(Action.COMPANY_CHANGE),
        "section": "sending",
    }
    return render(request, "sending/mailbox.html", context)


@require_http_methods(["GET", "POST"])
@signed_in(Action.COMPANY_CHANGE)
def more(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """Ask for higher limits."""
    boxes = sorted_mailboxes(actor.tenant_id, "", "address")[:CHOICES_AT_MOST]
    form = MoreForm(
        request.POST or None,
        mailboxes=[(str(row.pk), shown_address(row)) for row in boxes],
        initial={"mailbox": request.GET.get("mailbox", "")},
    )
    if request.method == "POST" and form.is_valid():
        with refusals_on(form):
            data = form.cleaned_data
            reviews.ask_for_more(
                actor=actor, text=data["text"], wanted=data["wanted"], mailbox_id=data["mailbox"] or None
            )
            toast(request, _("Sent. A person looks at it; the answer comes by mail."))
            return redirect(request, "sending:meter")
    context = {"form": form, "company": company_of(actor), "section": "sending"}
    return render(request, "sending/more.html", context, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "POST"])
@signed_in(Action.COMPANY_CHANGE)
def appeal(request: HttpRequest, actor: Actor, block_id: UUID) -> HttpResponseBase:
    """Ask for a block to be lifted."""
    found = block_for(actor, block_id)
    form = AppealForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_on(form):
            reviews.appeal(actor=actor, block_id=block_id, text=form.cleaned_data["text"])
            toast(request, _("Sent. A person looks at it; the answer comes by mail."))
            return redirect(request, "sending:meter")
    context = {"form": form, "line": BlockLine(found), "section": "sending"}
    return render(request, "sending/appeal.html", context, status=422 if form.is_bound else 200)
