"""The operator's pages. A company's page opens with a reason, which stands in that company's log."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from deftmail.domains.selectors import domains_of
from deftmail.kit.forms import refusals_on
from deftmail.kit.htmx import redirect, toast
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.pages import shown_address
from deftmail.sending import meters
from deftmail.sending import selectors as own
from deftmail.sending.limits import LIMITS
from deftmail.sending.models import ReviewCase
from deftmail.sending.office import actions
from deftmail.sending.office.forms import AnswerForm, BlockForm, LimitsForm, ReasonForm
from deftmail.sending.office.guard import Operator, note_reading, open_company, operator_view, reason_for
from deftmail.sending.office.selectors import system
from deftmail.sending.pages import BlockLine
from deftmail.sending.reviews.selectors import cases_of
from deftmail.tenants.models import Tenant

PAGE_SIZE = 25
CHOICES_AT_MOST = 200


@require_GET
@operator_view
def cases(request: HttpRequest, operator: Operator) -> HttpResponseBase:
    """The queue, oldest first; decided cases on the second tab."""
    is_open = request.GET.get("state", "open") != "decided"
    search = _searched(request)
    note_reading(operator, "cases.listed", search)
    page = Paginator(system.cases(is_open=is_open, search=search), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "is_open": is_open,
        "is_decided": not is_open,
        "search": search,
        "waiting": system.open_count(),
        "section": "cases",
    }
    return render(request, "office/cases.html", context)


@require_GET
@operator_view
def case(request: HttpRequest, operator: Operator, case_id: UUID) -> HttpResponseBase:
    """What was asked, what is stopped and used, and the two answers. Opening it is written into the company's log."""
    return _case(request, operator, system.case_by_id(case_id))


@require_POST
@operator_view
def release(request: HttpRequest, operator: Operator, case_id: UUID) -> HttpResponseBase:
    """Lift the block, or set the limits."""
    found = system.case_by_id(case_id)
    form = AnswerForm(request.POST, case=found, granting=True, prefix="release")
    if form.is_valid():
        with refusals_on(form):
            actions.release(
                operator=operator,
                tenant_id=found.tenant_id,
                case_id=case_id,
                answer=form.cleaned_data["answer"],
                limits=form.limits,
            )
            toast(request, _("Granted. The owners are told."))
            return redirect(request, "office:cases")
    return _case(request, operator, found, release=form)


@require_POST
@operator_view
def refuse(request: HttpRequest, operator: Operator, case_id: UUID) -> HttpResponseBase:
    """Say no, and why."""
    found = system.case_by_id(case_id)
    form = AnswerForm(request.POST, case=found, prefix="refuse")
    if form.is_valid():
        with refusals_on(form):
            answer = form.cleaned_data["answer"]
            actions.refuse(operator=operator, tenant_id=found.tenant_id, case_id=case_id, answer=answer)
            toast(request, _("Refused. The owners are told."))
            return redirect(request, "office:cases")
    return _case(request, operator, found, refuse=form)


@require_GET
@operator_view
def companies(request: HttpRequest, operator: Operator) -> HttpResponseBase:
    """Every company, by name."""
    search = _searched(request)
    note_reading(operator, "companies.listed", search)
    page = Paginator(system.companies(search), PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "office/companies.html", {"page": page, "search": search, "section": "companies"})


@require_http_methods(["GET", "POST"])
@operator_view
def company(request: HttpRequest, operator: Operator, company_id: UUID) -> HttpResponseBase:
    """Limits and blocks of a company; first the reason for looking."""
    found = system.company_by_id(company_id)
    if request.method == "POST":
        form = ReasonForm(request.POST)
        if form.is_valid():
            open_company(request, operator, found, form.cleaned_data["reason"])
            return redirect(request, "office:company", company_id)
        return _ask_reason(request, found, form)
    if not reason_for(request, company_id):
        return _ask_reason(request, found, ReasonForm())
    return _company(request, operator, found)


@require_POST
@operator_view
def limits(request: HttpRequest, operator: Operator, company_id: UUID) -> HttpResponseBase:
    """Other limits, with the reason."""
    found = system.company_by_id(company_id)
    form = LimitsForm(request.POST, company=found, prefix="limits")
    if form.is_valid():
        with refusals_on(form):
            reason = form.cleaned_data["reason"]
            actions.change_limits(operator=operator, tenant_id=company_id, limits=form.limits, reason=reason)
            open_company(request, operator, found, reason)
            toast(request, _("Saved. In force within a second."))
            return redirect(request, "office:company", company_id)
    return _company(request, operator, found, limits=form)


@require_POST
@operator_view
def block(request: HttpRequest, operator: Operator, company_id: UUID) -> HttpResponseBase:
    """Stop sending."""
    found = system.company_by_id(company_id)
    form = BlockForm(request.POST, subjects=_subjects(operator, company_id), prefix="block")
    if form.is_valid():
        with refusals_on(form):
            data = form.cleaned_data
            actions.block(
                operator=operator,
                tenant_id=company_id,
                kind=data["kind"],
                reason=data["reason"],
                evidence=data["evidence"],
                **form.subject,
            )
            open_company(request, operator, found, data["reason"])
            toast(request, _("Stopped. The owners are told."))
            return redirect(request, "office:company", company_id)
    return _company(request, operator, found, block=form)


@require_POST
@operator_view
def lift(request: HttpRequest, operator: Operator, block_id: UUID) -> HttpResponseBase:
    """Let sending go on."""
    company_id = system.company_of_block(block_id)
    form = ReasonForm(request.POST)
    if form.is_valid():
        with refusals_on(form):
            reason = form.cleaned_data["reason"]
            actions.lift(operator=operator, tenant_id=company_id, block_id=block_id, reason=reason)
            open_company(request, operator, system.company_by_id(company_id), reason)
            toast(request, _("Lifted. The owners are told."))
            return redirect(request, "office:company", company_id)
    return _company(request, operator, system.company_by_id(company_id), lift=form)


def _ask_reason(request: HttpRequest, found: Tenant, form: ReasonForm) -> HttpResponseBase:
    context = {"company": found, "form": form, "section": "companies"}
    return render(request, "office/reason.html", context, status=422 if form.is_bound else 200)


def _company(request: HttpRequest, operator: Operator, found: Tenant, **bound: Any) -> HttpResponseBase:
    if not reason_for(request, found.pk) and not bound:
        return _ask_reason(request, found, ReasonForm())
    subjects = _subjects(operator, found.pk)
    with tenant_tx(found.pk):
        context = {
            "company": found,
            "blocks": [BlockLine(each) for each in own.active_blocks(found.pk)],
            "cases": cases_of(found.pk),
            "reason": reason_for(request, found.pk),
            "section": "companies",
            "forms": {
                "limits": LimitsForm(company=found, prefix="limits"),
                "block": BlockForm(subjects=subjects, prefix="block"),
                "lift": ReasonForm(),
            }
            | bound,
        }
        return render(request, "office/company.html", context, status=422 if bound else 200)


def _case(request: HttpRequest, operator: Operator, found: ReviewCase, **bound: Any) -> HttpResponseBase:
    open_company(request, operator, found.tenant, _("Review case of %(who)s") % {"who": found.opened_by})
    with tenant_tx(found.tenant_id):
        used = None
        if found.mail_user is not None:
            used = meters.of_mailboxes(found.tenant, [found.mail_user])
        shown = used[found.mail_user.pk] if used and found.mail_user is not None else {}
        context = {
            "case": found,
            "company": found.tenant,
            "line": BlockLine(found.block) if found.block is not None else None,
            "meters": [shown[limit.name] for limit in LIMITS if limit.name in shown],
            "section": "cases",
            "forms": {
                "release": AnswerForm(case=found, granting=True, prefix="release"),
                "refuse": AnswerForm(case=found, prefix="refuse"),
            }
            | bound,
        }
        return render(request, "office/case.html", context, status=422 if bound else 200)


def _subjects(operator: Operator, company_id: UUID) -> list[tuple[str, str]]:
    """Domains and mailboxes to choose from, as `whose:id`."""
    with tenant_tx(company_id):
        domains = domains_of(operator.actor(company_id))[:CHOICES_AT_MOST]
        boxes = own.sorted_mailboxes(company_id, "", "-used")[:CHOICES_AT_MOST]
        return [
            *[(f"domain:{row.pk}", row.domain_unicode) for row in domains],
            *[(f"mailbox:{row.pk}", shown_address(row)) for row in boxes],
        ]


def _searched(request: HttpRequest) -> str:
    return request.GET.get("q", "").replace("\0", "").strip()[:320]  # PostgreSQL takes no NUL, and it is written down
