"""Who calls: a bearer API key becomes an `Actor` with the rights of its scopes."""

from __future__ import annotations

from typing import Any

import structlog
from django.http import HttpRequest
from ninja.security import HttpBearer

from deftmail.kit.net import client_ip
from deftmail.tenants import selectors
from deftmail.tenants.actor import Actor


class ApiKeyAuth(HttpBearer):
    """`Authorization: Bearer dm_live_…`. A wrong, revoked or expired key is 401; a key without the entitlement 403."""

    openapi_scheme = "bearer"
    openapi_description = "An API key made in the console under Settings, API keys."

    def authenticate(self, request: HttpRequest, token: str) -> Actor | None:
        key = selectors.api_key(token)
        if key is None:
            return None
        request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
        return Actor.key(
            key.tenant_id,
            f"{key.name} ({key.prefix})",
            key.scopes,
            ip=client_ip(request) or None,
            request_id=request_id,
        )


def actor_of(request: Any) -> Actor:
    """The caller; ninja puts what `authenticate` returned on the request."""
    actor: Actor = request.auth
    return actor
