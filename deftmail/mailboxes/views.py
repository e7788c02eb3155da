"""The pages of a company's mailboxes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from deftmail.domains.selectors import proven_domains
from deftmail.kit.confirm import ConfirmForm, confirm_page
from deftmail.kit.forms import refusals_on
from deftmail.kit.htmx import is_fragment, redirect, toast
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes import actions, selectors
from deftmail.mailboxes.access import has_power_over, mailbox_for, role_of_person
from deftmail.mailboxes.forms import ChangeForm, CreateForm, DisableForm, PasswordForm
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.pages import MailboxPage, Row, connected_note, shown_address
from deftmail.tenants.access import company_of
from deftmail.tenants.actor import Actor
from deftmail.tenants.guards import signed_in
from deftmail.tenants.policies import Action

PAGE_SIZE = 25


@require_GET
@signed_in(Action.MAILBOX_VIEW)
def index(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """The list: search, filter, sort and page in the URL."""
    search = request.GET.get("q", "").strip()
    status = request.GET.get("status", "")
    domains = {domain.domain: domain for domain in proven_domains(actor)}
    domain = domains.get(request.GET.get("domain", ""))
    found = selectors.mailboxes(
        actor.tenant_id,
        search,
        domain.pk if domain else None,
        status=status,
        sort=request.GET.get("sort", selectors.DEFAULT_SORT),
    )
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    company = company_of(actor)
    context = {
        "page": page,
        "rows": [Row(mailbox) for mailbox in page],
        "search": search,
        "status": status,
        "statuses": [*MailUser.Status.choices, ("pending", _("Provisioning")), ("failed", _("Failed"))],
        "domains": list(domains.values()),
        "domain": domain,
        "filtered": bool(search or status or domain),
        "ceiling": company.max_mailboxes,
        "count": selectors.mailbox_count(actor.tenant_id),
        "may_manage": actor.can(Action.MAILBOX_MANAGE),
    }
    return render(request, "mailboxes/list.html", context)


@require_http_methods(["GET", "POST"])
@signed_in(Action.MAILBOX_MANAGE, transaction=False)
def add(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """A new mailbox in one of the proven domains."""
    with tenant_tx(actor.tenant_id):
        domains, company = list(proven_domains(actor)), company_of(actor)
        full = None if request.POST else selectors.no_room(company)
        form = CreateForm(
            request.POST or None,
            domains=domains,
            plan_quota_mb=company.mailbox_quota_mb,
            known=selectors.people_without_mailbox(actor.tenant_id),
            initial={"domain": request.GET.get("domain", "")},
        )
    if request.method == "POST" and form.is_valid():
        with refusals_on(form):
            mailbox = actions.create_mailbox(
                actor=actor,
                email=form.address,
                password=form.cleaned_data["password"],
                display_name=form.cleaned_data["display_name"],
                quota_mb=form.cleaned_data["quota_mb"],
            )
            said = _("%(address)s was created.")
            if mailbox.email in form.known:
                said = _("%(address)s was created. Its person keeps the password he signs in with.")
            toast(request, said % {"address": shown_address(mailbox)})
            return redirect(request, mailbox)
    if form.is_bound and form.unjudged_password:
        with refusals_on(form):  # all that is wrong at once, not one after the other
            actions.judge_password(
                actor=actor,
                password=form.unjudged_password,
                email=form.cleaned_data.get("email", ""),
                display_name=form.cleaned_data.get("display_name", ""),
            )
    context = {"form": form, "domains": domains, "full": full, "section": "addresses"}
    return render(request, "mailboxes/add.html", context, status=422 if form.is_bound else 200)


@require_GET
@signed_in(Action.MAILBOX_VIEW)
def detail(request: HttpRequest, actor: Actor, mailbox_id: UUID) -> HttpResponseBase:
    """Facts, mail program settings, and what can be changed. The page polls this while the engine is at work."""
    mailbox = mailbox_for(actor, mailbox_id)
    if is_fragment(request):
        return render(request, "mailboxes/_live.html", _page(actor, mailbox))
    return _detail(request, actor, mailbox)


@require_POST
@signed_in(Action.MAILBOX_MANAGE)
def change(request: HttpRequest, actor: Actor, mailbox_id: UUID) -> HttpResponseBase:
    """Name and size."""
    mailbox = mailbox_for(actor, mailbox_id, need=Action.MAILBOX_MANAGE)
    form = ChangeForm(request.POST, plan_quota_mb=company_of(actor).mailbox_quota_mb, prefix="change")
    if form.is_valid():
        with refusals_on(form):
            actions.change_mailbox(
                actor=actor,
                mailbox_id=mailbox_id,
                display_name=form.cleaned_data["display_name"],
                quota_mb=form.cleaned_data["quota_mb"],
            )
            toast(request, _("Saved."))
            return redirect(request, mailbox)
    return _detail(request, actor, mailbox, change=form)


@require_POST
@signed_in(Action.MAILBOX_MANAGE, transaction=False)
def password(request: HttpRequest, actor: Actor, mailbox_id: UUID) -> HttpResponseBase:
    """A new password, for mail programs and the web together."""
    form = PasswordForm(request.POST, prefix="reset")
    if form.is_valid():
        with refusals_on(form):
            mailbox = actions.set_mailbox_password(
                actor=actor, mailbox_id=mailbox_id, password=form.cleaned_data["password"]
            )
            toast(request, _("The password was set. Mail programs will ask for it."))
            return redirect(request, mailbox)
    with tenant_tx(actor.tenant_id):
        mailbox = mailbox_for(actor, mailbox_id, need=Action.MAILBOX_MANAGE)
        return _detail(request, actor, mailbox, password=form)


@require_POST
@signed_in(Action.MAILBOX_MANAGE)
def disable(request: HttpRequest, actor: Actor, mailbox_id: UUID) -> HttpResponseBase:
    """Close the mailbox to its person, keeping or refusing what arrives."""
    mailbox = mailbox_for(actor, mailbox_id, need=Action.MAILBOX_MANAGE)
    form = DisableForm(request.POST, prefix="disable")
    if form.is_valid():
        with refusals_on(form):
            refuse = form.cleaned_data["incoming"] == "refuse"
            actions.set_status(actor=actor, mailbox_id=mailbox_id, status=MailUser.Status.DISABLED, refuse=refuse)
            undo = reverse("mailboxes:enable", args=[mailbox.pk]) if mailbox.status == "active" else None
            toast(request, _("%(address)s was disabled.") % {"address": shown_address(mailbox)}, undo_url=undo)
            return redirect(request, mailbox)
    return _detail(request, actor, mailbox, disable=form)


@require_POST
@signed_in(Action.MAILBOX_MANAGE)
def enable(request: HttpRequest, actor: Actor, mailbox_id: UUID) -> HttpResponseBase:
    """Open the mailbox again."""
    mailbox = actions.set_status(actor=actor, mailbox_id=mailbox_id, status=MailUser.Status.ACTIVE)
    toast(request, _("%(address)s was enabled.") % {"address": shown_address(mailbox)})
    return redirect(request, mailbox)


@require_POST
@signed_in(Action.MAILBOX_MANAGE)
def retry(request: HttpRequest, actor: Actor, mailbox_id: UUID) -> HttpResponseBase:
    """Set up the mailbox in the mail server again."""
    mailbox = actions.retry_sync(actor=actor, mailbox_id=mailbox_id)
    if is_fragment(request):
        return render(request, "mailboxes/_live.html", _page(actor, mailbox))
    return redirect(request, mailbox)


@require_http_methods(["GET", "POST"])
@signed_in(Action.MAILBOX_MANAGE)
def delete(request: HttpRequest, actor: Actor, mailbox_id: UUID) -> HttpResponseBase:
    """Ask by typing, then delete."""
    mailbox = mailbox_for(actor, mailbox_id, need=Action.MAILBOX_MANAGE)
    form = ConfirmForm(request.POST or None, phrase=shown_address(mailbox), also=mailbox.email)
    if request.method == "POST" and form.is_valid():
        with refusals_on(form):
            actions.delete_mailbox(actor=actor, mailbox_id=mailbox_id, confirmation=form.cleaned_data["confirm"])
            toast(request, _("%(address)s was deleted.") % {"address": shown_address(mailbox)})
            return redirect(request, "mailboxes:list")
    lines = [
        _("All of its mail is destroyed and cannot be brought back."),
        _("Mail to this address is refused from now on."),
    ]
    if role_of_person(mailbox) == "user":
        lines.append(_("Its person can no longer sign in."))
    return confirm_page(
        request,
        form,
        title=_("Delete %(address)s") % {"address": shown_address(mailbox)},
        lines=lines,
        submit=_("Delete mailbox"),
        cancel_url=mailbox.get_absolute_url(),
    )


def _page(actor: Actor, mailbox: MailUser) -> dict[str, Any]:
    return {
        "mailbox": mailbox,
        "page": MailboxPage(mailbox, role=role_of_person(mailbox)),
        "may_manage": actor.can(Action.MAILBOX_MANAGE),
        "may_change": has_power_over(actor, mailbox),
        "section": "addresses",
    }


def _detail(request: HttpRequest, actor: Actor, mailbox: MailUser, **bound: Any) -> HttpResponseBase:
    """The page with its forms; one of them may be `bound`, with its errors."""
    context = _page(actor, mailbox)
    page: MailboxPage = context["page"]
    own_id = mailbox.user_id if mailbox.user_id == actor.user_id else None
    context |= {
        "is_own": own_id is not None and page.is_joined,
        "needs_recovery": own_id is not None and selectors.needs_recovery_address(actor.tenant_id, own_id),
        "connected_note": connected_note(),
        "forms": {
            "change": ChangeForm(
                plan_quota_mb=company_of(actor).mailbox_quota_mb,
                prefix="change",
                initial={"display_name": mailbox.display_name, "quota_mb": mailbox.quota_mb},
            ),
            "password": PasswordForm(prefix="reset"),
            "disable": DisableForm(
                prefix="disable", initial={"incoming": "refuse" if mailbox.refuse_when_disabled else "keep"}
            ),
        }
        | bound,
    }
    return render(request, "mailboxes/detail.html", context, status=422 if bound else 200)
