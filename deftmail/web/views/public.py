"""What anybody may read: what the product is, the terms, the privacy policy."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from deftmail.kit.conf import conf
from deftmail.kit.database import DATABASE_AWAY
from deftmail.kit.middleware import limited
from deftmail.tenants.guards import actor_of
from deftmail.tenants.models import Plan
from deftmail.tenants.policies import Action
from deftmail.web import legal
from deftmail.web.selectors import plans_on_sale


@require_safe
@limited("page")
def landing(request: HttpRequest) -> HttpResponse:
    """The public front page; signed-in people go to their work."""
    actor = actor_of(request)
    if actor is not None:
        return redirect("web:overview" if actor.can(Action.CONSOLE_VIEW) else "webmail:index")
    if request.user.is_authenticated and request.user.is_operator:
        return redirect("office:cases")
    try:
        plans = [shown(plan) for plan in plans_on_sale()]
    except DATABASE_AWAY:  # the front page stays up; only the price table is missing
        plans = []
    return render(request, "web/landing.html", {"plans": plans})


@dataclass(frozen=True)
class Offer:
    """A plan as the price page shows it."""

    name: str
    price: str
    period: str
    lines: list[str]
    url: str
    act: str


def shown(plan: Plan) -> Offer:
    """What is bought, in words; null ceilings are unlimited or by agreement."""

    def count(number: int | None, one: str, many: str, none: str) -> str:
        return none if number is None else ngettext(one, many, number) % {"n": number}

    lines = [
        count(plan.max_domains, "%(n)d domain", "%(n)d domains", _("Unlimited domains")),
        count(plan.max_mailboxes, "%(n)d mailbox", "%(n)d mailboxes", _("Unlimited mailboxes")),
        _("Storage by agreement")
        if plan.mailbox_quota_mb is None
        else _("%(n)d GB storage each") % {"n": plan.mailbox_quota_mb // 1024},
        _("Sending by agreement")
        if plan.recipients_per_mailbox_day is None
        else _("%(n)s recipients a day from each mailbox") % {"n": f"{plan.recipients_per_mailbox_day:,}"},
        _("Webmail, IMAP and SMTP"),
    ]
    if plan.api_access:
        lines.append(_("API"))
    if plan.support:
        lines.append(plan.support)
    if plan.price_cents is None:
        mail = f"mailto:{conf.support_email}"
        return Offer(plan.name, _("By agreement"), "", lines, mail, _("Write to us"))
    price = f"${plan.price_cents / 100:.2f}".removesuffix(".00")
    return Offer(plan.name, price, _("a month"), lines, reverse("tenants:signup"), _("Start a 14-day trial"))


@require_safe
@limited("page")
def terms(request: HttpRequest) -> HttpResponse:
    """Terms of service."""
    return render(request, "web/terms.html", {"version": legal.TERMS_VERSION})


@require_safe
@limited("page")
def privacy(request: HttpRequest) -> HttpResponse:
    """Privacy policy."""
    return render(request, "web/privacy.html", {"version": legal.PRIVACY_VERSION})
