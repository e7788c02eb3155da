"""A company's keys and a caller."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.test import Client

from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants.actions import create_api_key
from deftmail.tenants.policies import SCOPES
from deftmail.tenants.testing import Cast, Person, make_client


@dataclass
class Caller:
    """Calls the API with one key."""

    key: str
    client: Client = field(default_factory=make_client)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """`path` below /api/v1; `body` as JSON, or bytes as they are. Headers as `Idempotency_Key="…"`."""
        data = body if isinstance(body, bytes) else (json.dumps(body) if body is not None else "")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key:
            named = {"Authorization": f"Bearer {self.key}", **named}
        content_type = named.pop("Content-Type", "application/json")
        return self.client.generic(method, "/api/v1" + path, data=data, content_type=content_type, headers=named)


def key_of(person: Person, *scopes: str) -> str:
    """A new key of the person's company; all scopes when none is named."""
    with tenant_tx(person.tenant.pk):
        _key, raw = create_api_key(actor=person.actor, name="test", scopes=list(scopes or SCOPES))
    return raw


@pytest.fixture
def call(cast: Cast) -> Caller:
    """Acme's key with every scope."""
    return Caller(key_of(cast.owner))
