"""The people of a company."""

from __future__ import annotations

from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from deftmail.kit.forms import refusals_on
from deftmail.kit.htmx import redirect, toast
from deftmail.tenants import actions, hooks, selectors
from deftmail.tenants.access import member_for
from deftmail.tenants.actor import Actor
from deftmail.tenants.forms import RoleForm
from deftmail.tenants.guards import signed_in
from deftmail.tenants.models import Membership, Role
from deftmail.tenants.policies import Action, may_act_on

PAGE_SIZE = 50


@require_safe
@signed_in(Action.PEOPLE_VIEW)
def people(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """Who belongs to the company, and as what."""
    search, role = request.GET.get("q", "").strip(), request.GET.get("role", "")
    found = selectors.members(actor, search=search, role=role if role in Role.values else "")
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    signed_in_at = hooks.last_sign_ins(actor.tenant_id, [member.user for member in page])
    context = {
        "page": page,
        "rows": [(member, signed_in_at[member.user_id]) for member in page],
        "search": search,
        "role": role,
        "roles": Role.choices,
        "filtered": bool(search or role),
    }
    return render(request, "tenants/people.html", context)


def _may_change(actor: Actor, member: Membership) -> bool:
    return actor.can(Action.PEOPLE_MANAGE) and member.user_id != actor.user_id and may_act_on(actor.rights, member.role)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in(Action.PEOPLE_VIEW)
def member(request: HttpRequest, actor: Actor, member_id: UUID) -> HttpResponseBase:
    """One person, and where the actor may, his role."""
    person = member_for(actor, member_id)
    form = RoleForm(request.POST if request.method == "POST" else None, initial={"role": person.role})
    # Only roles within the actor's own rights are offered; the action refuses the others.
    form.fields["role"].choices = [  # type: ignore[attr-defined]
        (value, label) for value, label in Role.choices if may_act_on(actor.rights, value) or value == person.role
    ]
    if form.is_bound and form.is_valid():
        with refusals_on(form):
            changed = actions.change_role(actor=actor, member_id=member_id, role=form.cleaned_data["role"])
            said = {"name": changed.user.get_full_name(), "role": changed.get_role_display()}
            toast(request, _("%(name)s is %(role)s now.") % said)
            return redirect(request, "tenants:member", member_id=member_id)
    context = {
        "member": person,
        "signed_in_at": hooks.last_sign_ins(actor.tenant_id, [person.user])[person.user_id],
        "form": form,
        "may_change": _may_change(actor, person),
        "section": "people",
    }
    return render(request, "tenants/member.html", context, status=422 if form.is_bound else 200)


@require_POST
@signed_in(Action.PEOPLE_MANAGE)
def sign_out(request: HttpRequest, actor: Actor, member_id: UUID) -> HttpResponseBase:
    """Sign a person out of every browser."""
    person = actions.sign_out_member(actor=actor, member_id=member_id)
    toast(request, _("%(name)s was signed out everywhere.") % {"name": person.user.get_full_name()})
    return redirect(request, "tenants:member", member_id=member_id)
