"""The pages of a company's domains."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from deftmail.domains import actions, selectors
from deftmail.domains.access import domain_for
from deftmail.domains.forms import AddDomainForm, DeleteDomainForm
from deftmail.domains.models import Domain
from deftmail.domains.pages import DomainPage, Row
from deftmail.kit.confirm import confirm_page
from deftmail.kit.forms import refusals_on
from deftmail.kit.htmx import announce, is_fragment, redirect, toast
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants.access import company_of
from deftmail.tenants.actor import Actor
from deftmail.tenants.guards import signed_in
from deftmail.tenants.policies import Action

PAGE_SIZE = 25


@require_GET
@signed_in(Action.DOMAIN_VIEW)
def index(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """The list: search, filter, sort and page in the URL."""
    search = request.GET.get("q", "").strip()
    status = request.GET.get("status", "")
    found = selectors.domains_of(actor, search=search, status=status, sort=request.GET.get("sort", "name"))
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": [Row(domain) for domain in page],
        "search": search,
        "status": status,
        "statuses": [*Domain.Status.choices, ("degraded", _("Degraded"))],
        "filtered": bool(search or status),
        "may_manage": actor.can(Action.DOMAIN_MANAGE),
    }
    return render(request, "domains/list.html", context)


@require_http_methods(["GET", "POST"])
@signed_in(Action.DOMAIN_MANAGE, transaction=False)
def add(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """Type a name; the next page is its records."""
    form = AddDomainForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_on(form):
            domain = actions.add_domain(actor=actor, name=form.cleaned_data["domain"])
            toast(request, _("%(domain)s was added. Publish its records next.") % {"domain": domain.domain_unicode})
            return redirect(request, domain)
    with tenant_tx(actor.tenant_id):
        full = None if form.is_bound else selectors.no_room(company_of(actor))
    return render(request, "domains/add.html", {"form": form, "full": full}, status=422 if form.is_bound else 200)


@require_GET
@signed_in(Action.DOMAIN_VIEW)
def detail(request: HttpRequest, actor: Actor, domain_id: UUID) -> HttpResponseBase:
    """The records, what was found, and what comes next. The page polls this for its living part."""
    domain = domain_for(actor, domain_id)
    template = "domains/_live.html" if is_fragment(request) else "domains/detail.html"
    return render(request, template, _page(actor, domain))


@require_POST
@signed_in(Action.DOMAIN_MANAGE, limit="dns_check", transaction=False)
def check(request: HttpRequest, actor: Actor, domain_id: UUID) -> HttpResponseBase:
    """Look now."""
    domain = actions.check_domain(actor=actor, domain_id=domain_id)
    if not is_fragment(request):
        return redirect(request, domain)
    with tenant_tx(actor.tenant_id):
        context = _page(actor, domain)
        response = render(request, "domains/_live.html", context)
    announce(response, context["page"].found_line)
    return response


@require_POST
@signed_in(Action.DOMAIN_MANAGE)
def retry(request: HttpRequest, actor: Actor, domain_id: UUID) -> HttpResponseBase:
    """Configure the mail server again."""
    domain = actions.retry_sync(actor=actor, domain_id=domain_id)
    if is_fragment(request):
        return render(request, "domains/_live.html", _page(actor, domain))
    return redirect(request, domain)


@require_http_methods(["GET", "POST"])
@signed_in(Action.DOMAIN_MANAGE)
def delete(request: HttpRequest, actor: Actor, domain_id: UUID) -> HttpResponseBase:
    """Ask by typing, then delete."""
    domain = domain_for(actor, domain_id, need=Action.DOMAIN_MANAGE)
    held = actions.addresses_in(domain)
    form = DeleteDomainForm(request.POST or None, phrase=domain.domain_unicode, also=domain.domain, held=held)
    if request.method == "POST" and form.is_valid():
        with refusals_on(form):
            actions.delete_domain(
                actor=actor,
                domain_id=domain.pk,
                confirm=form.cleaned_data["confirm"],
                addresses=form.cleaned_data.get("addresses", ()),
            )
            toast(request, _("%(domain)s was deleted.") % {"domain": domain.domain_unicode})
            return redirect(request, "domains:list")
    lines = [
        _("Its key and its records here are gone at once, and the name is free for anybody who can prove it."),
        _("Remove our records from your DNS as well, or mail will be sent here and refused."),
    ]
    return confirm_page(
        request,
        form,
        title=_("Delete %(domain)s") % {"domain": domain.domain_unicode},
        lines=lines,
        submit=_("Delete domain"),
        cancel_url=domain.get_absolute_url(),
    )


def _page(actor: Actor, domain: Domain) -> dict[str, Any]:
    return {
        "domain": domain,
        "page": DomainPage(domain),
        "may_manage": actor.can(Action.DOMAIN_MANAGE),
        "section": "domains",
    }
