"""What stands before every page of the office: an operator, and for a company's page the reason why he opens it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase

from deftmail.kit.errors import NotFound
from deftmail.kit.middleware import limited
from deftmail.kit.net import client_ip
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants import audit
from deftmail.tenants.actor import Actor
from deftmail.tenants.guards import request_id, to_sign_in
from deftmail.tenants.models import Role, Tenant, User
from deftmail.tenants.policies import rights_of

REASON_HOLDS = 3600
"""Seconds for which a typed reason opens one company's page; then it is asked, and written down, again."""
_SESSION = "office_reasons"


@dataclass(frozen=True)
class Operator:
    """A signed-in person of the installation's staff."""

    user: User
    ip: str | None
    request_id: str

    @property
    def name(self) -> str:
        """How a company's log names him."""
        return f"Operator {self.user.email}"

    def actor(self, tenant_id: UUID) -> Actor:
        """He inside one company, with an owner's rights and his own name."""
        # No user_id: the log's key goes to the company's own people, and he is none of them.
        return Actor(tenant_id, self.name, rights_of(Role.OWNER), "", None, self.ip, self.request_id)


def operator_view(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Guard a view `view(request, operator, …)`. To everybody else the office does not exist (404)."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return to_sign_in(request)
        user = request.user
        assert isinstance(user, User)
        if not user.is_operator:
            raise NotFound
        return view(request, Operator(user, client_ip(request) or None, request_id()), *args, **kwargs)

    return limited("page")(guarded)


def reason_for(request: HttpRequest, tenant_id: UUID) -> str:
    """The reason given in this session within the hour, or ""."""
    reason, until = request.session.get(_SESSION, {}).get(str(tenant_id), ("", 0))
    return str(reason) if until > time.time() else ""


def note_reading(operator: Operator, what: str, search: str) -> None:
    """Write down that an operator read names of many companies."""
    audit.record_operator(operator.name, what, ip=operator.ip, request_id=operator.request_id, search=search)


def open_company(request: HttpRequest, operator: Operator, company: Tenant, reason: str) -> None:
    """Write into the company's log that an operator looks and why, once for each reason and hour."""
    if reason_for(request, company.pk) == reason:
        return
    with tenant_tx(company.pk):
        audit.record(operator.actor(company.pk), "operator.looked", company, reason=reason)
    now = time.time()
    kept = {key: value for key, value in request.session.get(_SESSION, {}).items() if value[1] > now}
    request.session[_SESSION] = kept | {str(company.pk): (reason, now + REASON_HOLDS)}
