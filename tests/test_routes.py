"""Generated from the URL table: every route has a request limit, wants a sign-in, and hides other companies' objects.

A new route fails here until its parameters are known (`OBJECTS`) or it is listed with the reason why it needs none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.urls.exceptions import NoReverseMatch

from deftmail.api.v1 import api
from deftmail.domains.testing import make_domain
from deftmail.kit.middleware import limit_of
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.testing import make_mailbox
from deftmail.sending.actions import block
from deftmail.sending.reviews.actions import appeal
from deftmail.tenants.actions import create_api_key
from deftmail.tenants.models import Membership
from deftmail.tenants.policies import SCOPES
from deftmail.tenants.testing import Cast

METHODS = ("GET", "POST", "PATCH", "DELETE")


@dataclass(frozen=True)
class Route:
    """One entry of the URL table."""

    path: str
    name: str
    view: Any
    parameters: tuple[str, ...]


def routes() -> list[Route]:
    """All routes, `namespace:name`."""

    def walk(patterns: list[Any], prefix: str, namespace: str, taken: tuple[str, ...]) -> Iterator[Route]:
        for entry in patterns:
            names = taken + tuple(entry.pattern.converters) + tuple(getattr(entry.pattern.regex, "groupindex", {}))
            path = prefix + str(entry.pattern)
            if isinstance(entry, URLResolver):
                inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
                yield from walk(entry.url_patterns, path, inner, names)
            elif isinstance(entry, URLPattern):
                yield Route(path, namespace + (entry.name or ""), entry.callback, tuple(dict.fromkeys(names)))

    return list(walk(get_resolver().url_patterns, "", "", ()))


ROUTES = routes()

# Public on purpose: what a guest must be able to open.
PUBLIC = (
    "ops:",
    "gate:",  # the mail server's own door: a secret instead of a session, tested in deftmail/gate/tests
    "account_",
    "tenants:signup",
    "tenants:address_confirm",  # a link from a mail; the token is the proof
    "web:landing",
    "web:terms",
    "web:privacy",
    "web:dev_",
    "problem_",  # what the API's error codes mean
    "api-v1:openapi-json",
    "api-v1:api-root",
)

# Parameters that are not a company's object: what they are, and who tests them.
NOT_OBJECTS = {
    ("ops:outbox_message", "name"): "caught mail of the local stack, shut in production",
    ("account_reset_password_from_key", "uidb36"): "signed by its key",
    ("account_reset_password_from_key", "key"): "the proof itself",
    ("tenants:signup_confirm", "token"): "the proof itself",
    ("tenants:address_confirm", "token"): "the proof itself",
    ("tenants:forget_pending", "purpose"): "one's own pending address",
    ("problem_page", "code"): "the same page for everybody",
    ("web:dev_act", "name"): "style guide",
    ("web:dev_error", "status"): "style guide",
}

# Ids of the engine: the account is always one's own, so another's ids are unknown in it. Walked on the real engine in
# deftmail/webmail/tests; here the list of such routes is fixed, so that a new one is noticed.
ENGINE_IDS = {
    "webmail:folder_rename",
    "webmail:folder_delete",
    "webmail:folder_empty",
    "webmail:folder",
    "webmail:thread",
    "webmail:search_thread",
    "webmail:undo",
    "webmail:body",
    "webmail:attachment",
    "webmail:picture",
    "webmail:source",
}


def test_every_route_has_a_name_and_a_request_limit():
    for route in ROUTES:
        assert route.name, f"{route.path} has no name"
        for method in METHODS:
            assert limit_of(route.view, route.name, method), f"{route.name} has no request limit for {method}"


def _objects(cast: Cast) -> dict[str, Any]:
    """One object of Acme for every parameter name that stands for a company's object."""
    domain = make_domain(cast.acme, "acme-routes.test", active=True)
    mailbox = make_mailbox(domain, "routes")
    with tenant_tx(cast.acme.pk):
        key, _raw = create_api_key(actor=cast.owner.actor, name="routes", scopes=["domains:read"])
    member = Membership.objects.get(user=cast.user.user)
    with tenant_tx(cast.acme.pk):
        stopped = block(tenant_id=cast.acme.pk, kind="review", reason="Somebody complained.", mailbox=mailbox)
    case = appeal(actor=cast.owner.actor, block_id=stopped.pk, text="It was our newsletter.")
    return {
        "domain_id": domain.pk,
        "mailbox_id": mailbox.pk,
        "key_id": key.pk,
        "member_id": member.pk,
        "block_id": stopped.pk,
        "case_id": case.pk,
        "company_id": cast.acme.pk,
    }


def _object_routes() -> list[Route]:
    found = []
    for route in ROUTES:
        if route.name in ENGINE_IDS or route.name.startswith("api-v1:"):
            continue
        if any((route.name, parameter) not in NOT_OBJECTS for parameter in route.parameters):
            found.append(route)
    return found


@pytest.mark.django_db
def test_a_stranger_finds_nothing_of_another_company_on_any_page(cast):
    objects = _objects(cast)
    walked = 0
    for route in _object_routes():
        unknown = [name for name in route.parameters if name not in objects]
        assert not unknown, f"{route.name}: say in tests/test_routes.py what {unknown} stands for"
        url = reverse(route.name, kwargs={name: objects[name] for name in route.parameters})
        own = {method: _status(cast.owner.client, method, url) for method in ("GET", "POST")}
        for method in ("GET", "POST"):
            if own[method] == 405:
                continue
            status = _status(cast.stranger.client, method, url)
            assert status == 404, f"{method} {url} answered a stranger {status}"
            walked += 1
    assert walked >= 10


def _status(client: Client, method: str, url: str) -> int:
    return int(client.generic(method, url).status_code)


@pytest.mark.django_db
def test_a_guest_is_sent_to_the_sign_in_page(cast):
    objects = _objects(cast)
    guest = Client()
    for route in ROUTES:
        if route.name.startswith((*PUBLIC, "api-v1:")):
            continue
        kwargs = {name: objects.get(name, "x") for name in route.parameters}
        try:
            url = reverse(route.name, kwargs=kwargs)
        except NoReverseMatch:
            url = reverse(route.name, kwargs=dict.fromkeys(route.parameters, "email"))
        response = guest.get(url)
        if response.status_code == 405:
            response = guest.post(url)
        assert response.status_code == 302, f"{route.name} answered a guest {response.status_code}"
        assert response["Location"].startswith(reverse("account_login")), route.name


@pytest.mark.django_db
def test_a_strangers_key_finds_nothing_of_another_company_on_any_operation(cast):
    objects = _objects(cast)
    with tenant_tx(cast.other.pk):
        _key, raw = create_api_key(actor=cast.stranger.actor, name="stranger", scopes=list(SCOPES))
    client = Client(headers={"Authorization": f"Bearer {raw}"})
    walked = 0
    for path, operations in api.get_openapi_schema()["paths"].items():
        parameters = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        if not parameters:
            continue
        unknown = [name for name in parameters if name not in objects]
        assert not unknown, f"{path}: say in tests/test_routes.py what {unknown} stands for"
        url = path.format(**objects)
        for method in operations:
            body = {"password": "plum orbit ledger quay"} if path.endswith("/password") else {}
            response = client.generic(method.upper(), url, data=_json(body), content_type="application/json")
            assert response.status_code == 404, f"{method} {url} answered {response.status_code}: {response.content!r}"
            assert response["Content-Type"] == "application/problem+json"
            walked += 1
    assert walked >= 6


@pytest.mark.django_db
def test_every_operation_wants_a_key(cast):
    objects = _objects(cast)
    for path, operations in api.get_openapi_schema()["paths"].items():
        for method in operations:
            response = Client().generic(method.upper(), path.format(**objects))
            assert response.status_code == 401, f"{method} {path}"
            assert response["WWW-Authenticate"].startswith("Bearer")


def _json(body: dict[str, str]) -> str:
    return json.dumps(body)
