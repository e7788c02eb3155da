"""Who calls, and whether his key may: a bearer API key becomes an `Actor` with the rights of its scopes."""

from __future__ import annotations

from typing import Any

import structlog
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja.security import HttpBearer

from deftmail.kit.errors import Forbidden
from deftmail.kit.net import client_ip
from deftmail.tenants import selectors
from deftmail.tenants.actor import Actor
from deftmail.tenants.policies import SCOPES, Action


class MissingScope(Forbidden):
    """The API key is valid, but none of its scopes includes this operation. Make a key with the scope it names."""

    code = "missing-scope"

    def __init__(self, scope: str) -> None:
        super().__init__(_("This API key lacks the scope %(scope)s.") % {"scope": scope}, scope=scope)


class ApiKeyAuth(HttpBearer):
    """`Authorization: Bearer dm_live_…` with the right to do `action`.

    401 for a wrong, revoked or expired key; 403 for one without the scope, or of a company without API access. Asked
    before the request is read, so a key learns nothing about objects or bodies beyond its scopes.
    """

    openapi_scheme = "bearer"
    openapi_description = (
        "An API key, made in the console under API keys: `Authorization: Bearer dm_live_…`. Each operation names the "
        "scope it needs: " + ", ".join(f"`{scope}`" for scope in SCOPES) + ". A write scope includes its read scope."
    )

    def __init__(self, action: Action) -> None:
        super().__init__()
        self.action = action
        self.scope = min((scope for scope in SCOPES if action in SCOPES[scope]), key=lambda scope: len(SCOPES[scope]))

    def authenticate(self, request: HttpRequest, token: str) -> Actor | None:
        key = selectors.api_key(token) if token.isascii() else None
        if key is None:
            return None
        request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
        actor = Actor.key(
            key.tenant_id,
            f"{key.name} ({key.prefix})",
            key.scopes,
            ip=client_ip(request) or None,
            request_id=request_id,
        )
        if not actor.can(self.action):
            raise MissingScope(self.scope)
        return actor


def actor_of(request: Any) -> Actor:
    """The caller; ninja puts what `authenticate` returned on the request."""
    actor: Actor = request.auth
    return actor
