"""Who may call: keys, scopes, the entitlement, for every operation there is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from deftmail.api.tests.conftest import Caller, key_of
from deftmail.api.v1 import api
from deftmail.domains.testing import make_domain
from deftmail.kit.ratelimit import LIMITS
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.testing import make_mailbox
from deftmail.tenants.actions import revoke_api_key
from deftmail.tenants.models import ApiKey
from deftmail.tenants.policies import SCOPES
from deftmail.tenants.testing import set_columns

pytestmark = pytest.mark.django_db(databases=["default", "system"])
DOCUMENT = api.get_openapi_schema()
OPERATIONS = [
    (method.upper(), path.removeprefix("/api/v1"), operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
IDS = [operation["operationId"] for _method, _path, operation in OPERATIONS]
# Which scopes open which operation, written by hand: the document is generated from the code it describes.
NEEDS = {
    "create_domain": {"domains:write"},
    "list_domains": {"domains:read", "domains:write"},
    "get_domain": {"domains:read", "domains:write"},
    "verify_domain": {"domains:write"},
    "delete_domain": {"domains:write"},
    "create_mailbox": {"mailboxes:write"},
    "list_mailboxes": {"mailboxes:read", "mailboxes:write"},
    "get_mailbox": {"mailboxes:read", "mailboxes:write"},
    "may_send": {"mailboxes:read", "mailboxes:write"},
    "change_mailbox": {"mailboxes:write"},
    "set_mailbox_password": {"mailboxes:write"},
    "delete_mailbox": {"mailboxes:write"},
}


def body_of(operation):
    return operation["requestBody"]["content"]["application/json"]["example"] if "requestBody" in operation else None


def test_the_table_knows_every_operation():
    assert set(NEEDS) == set(IDS)


@pytest.mark.parametrize("scope", list(SCOPES))
@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=IDS)
def test_a_scope_opens_its_operations_and_no_other(cast, dns, method, path, operation, scope):
    domain = make_domain(cast.acme, "acme.example", active=True)
    mailbox = make_mailbox(domain, "jonas")
    caller = Caller(key_of(cast.owner, scope))
    answer = caller(method, path.format(domain_id=domain.pk, mailbox_id=mailbox.pk), body_of(operation))
    if scope in NEEDS[operation["operationId"]]:
        assert answer.status_code not in (401, 403), answer.content
    else:
        assert answer.status_code == 403
        body = answer.json()
        assert body["type"].endswith("/missing-scope")
        assert body["scope"] == operation["security"][0]["ApiKeyAuth"][0]


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=IDS)
def test_a_company_without_the_entitlement_is_refused_everywhere(cast, call, method, path, operation):
    set_columns(cast.acme, api_access=False)
    answer = call(method, path.format(domain_id=uuid4(), mailbox_id=uuid4()), body_of(operation))
    assert answer.status_code == 403
    assert answer.json()["type"].endswith("/no-api-access")


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", "Bearer žluť", "x" * 5000]
)
def test_without_a_right_key_nothing_opens(cast, authorization):
    caller = Caller("")
    answer = caller("GET", "/domains", **({"Authorization": authorization} if authorization else {}))
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["WWW-Authenticate"].startswith('Bearer realm="deftmail"')
    assert ("invalid_token" in answer["WWW-Authenticate"]) == bool(authorization)


def test_a_revoked_or_expired_key_opens_nothing(cast):
    raw = key_of(cast.owner)
    caller = Caller(raw)
    assert caller("GET", "/domains").status_code == 200
    with tenant_tx(cast.acme.pk):
        key = ApiKey.objects.get(tenant_id=cast.acme.pk)
        key.expires_at = timezone.now() - timedelta(seconds=1)
        key.save()
    assert caller("GET", "/domains").status_code == 401
    with tenant_tx(cast.acme.pk):
        key.expires_at = None
        key.save()
        revoke_api_key(actor=cast.owner.actor, key_id=key.pk)
    assert caller("GET", "/domains").status_code == 401


def test_a_key_that_asks_too_often_is_told_when_to_come_again(call, monkeypatch):
    # Counted in memory here (`guard`): without Redis reads stay open, which kit's tests show.
    monkeypatch.setitem(LIMITS, "api_read", replace(LIMITS["api_read"], count=1, burst=3, guard=True))
    answers = [call("GET", "/domains/" + str(uuid4())) for _ in range(4)]
    assert answers[0].status_code == 404
    refused = answers[-1]
    assert refused.status_code == 429
    assert refused["Content-Type"] == "application/problem+json"
    assert refused.json()["type"].endswith("/too-many-requests")
    assert int(refused["Retry-After"]) >= 1


def test_a_session_of_a_browser_is_no_key(cast):
    assert cast.owner.client.get("/api/v1/domains").status_code == 401
