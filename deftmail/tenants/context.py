"""What templates may know of the company and the person, asked of the database only when a template uses it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants.access import company_of
from deftmail.tenants.guards import actor_of
from deftmail.tenants.policies import Action


def company(request: HttpRequest) -> dict[str, Any]:
    """`company_name` (may be ""), and `webmail_only` for a person without the console."""
    if not hasattr(request, "user"):
        return {}
    return {
        "company_name": SimpleLazyObject(lambda: _name(request)),
        "webmail_only": SimpleLazyObject(lambda: _webmail_only(request)),
    }


def _name(request: HttpRequest) -> str:
    actor = actor_of(request)
    if actor is None:
        return ""
    if getattr(request, "in_company", False):
        return company_of(actor).company_name
    with tenant_tx(actor.tenant_id):
        return company_of(actor).company_name


def _webmail_only(request: HttpRequest) -> bool:
    actor = actor_of(request)
    return actor is not None and not actor.can(Action.CONSOLE_VIEW)
