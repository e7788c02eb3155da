"""The overview: the checklist until a company is set up, its health afterwards."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from deftmail.domains.models import Domain
from deftmail.domains.pages import records_line
from deftmail.tenants.actor import Actor
from deftmail.tenants.guards import signed_in
from deftmail.tenants.policies import Action
from deftmail.web import selectors


@dataclass(frozen=True)
class Step:
    """One step of the checklist. state: `done`, `now` or `todo`; sign_in_as: its act is a sign-in with that address."""

    title: str | Promise
    text: str | Promise
    state: str
    url: str = ""
    act: str | Promise = ""
    sign_in_as: str = ""


@signed_in(Action.CONSOLE_VIEW)
@require_safe
def overview(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Where the company stands and what to do next."""
    found = selectors.overview(actor)
    return render(
        request,
        "web/overview.html",
        {
            "overview": found,
            "company": found.company,
            "company_name": found.company.company_name,
            "steps": [] if found.is_set_up else steps(found),
            "alerts": bool(found.blocks or found.degraded or found.broken or found.full or found.needs_recovery),
        },
    )


def steps(found: selectors.Overview) -> list[Step]:
    """The way from sign-up to mail; the first step that is not done is the one to take now."""
    domain = found.first_domain
    add, create = reverse("domains:add"), reverse("mailboxes:add")
    records = reverse("domains:detail", args=[domain.pk]) if domain else ""
    published = domain is not None and domain.status == Domain.Status.ACTIVE and domain.records_right == 4
    wanted = [
        (_("Verify your email"), _("Done: your address is proven."), True, "", ""),
        (
            _("Add your domain"),
            _("The name your addresses end in, such as example.com. You keep it where it is registered."),
            domain is not None,
            add,
            _("Add domain"),
        ),
        (_("Publish its DNS records"), _records_text(domain), published, records, _("Show the records")),
        (
            _("Create a mailbox"),
            _("One for each person. It can be made as soon as the domain is proven yours."),
            found.mailbox_count > 0,
            create if domain is not None and domain.is_proven else "",
            _("Create mailbox"),
        ),
        (
            _("Open the webmail"),
            _("Sign in with the new address, here or in any mail program."),
            found.signed_in_ever,
            reverse("webmail:index") if found.has_own else "",
            _("Open the webmail"),
        ),
    ]
    result, reached = [], False
    for title, text, done, url, act in wanted:
        # A later step can be open too: mailboxes are made while DNS is still spreading.
        state = "done" if done else "todo" if reached else "now"
        reached = reached or not done
        result.append(Step(title, text, state, "" if done else url, act))
    if found.others and not found.has_own:
        result[-1] = replace(result[-1], sign_in_as=found.others.email)
    return result


def _records_text(domain: Domain | None) -> str:
    if domain is None:
        return _("Four lines that tell other servers where your mail goes and that it is really yours.")
    if domain.status == Domain.Status.ACTIVE:
        return records_line(domain)
    return _("%(n)d of 4 are correct for %(domain)s. We look again by ourselves.") % {
        "n": domain.records_right,
        "domain": domain.domain_unicode,
    }
