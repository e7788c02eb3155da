"""Generated from the URL table: forged and malformed requests get an answer of ours, whoever sends them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.urls.exceptions import NoReverseMatch

from deftmail.domains.testing import make_domain
from deftmail.mailboxes.testing import make_mailbox_person
from deftmail.tenants.testing import Cast
from tests.test_routes import ROUTES, Route, _objects

pytestmark = pytest.mark.django_db(databases=["default", "system"])
ODD = ("\0", "x" * 3000, "'\"><script>%s", "99999999999999999999")
NAMES = [
    "q",
    "page",
    "sort",
    "status",
    "domain",
    "role",
    "older",
    "newer",
    "next",
    "from",
    "show",
    "open",
    "view",
    "images",
    "type",
    "part",
    "to",
    "subject",
    "reply",
    "draft",
    "purpose",
    "state",
    "mailbox",
]
FIELDS = [
    "text",
    "wanted",
    "mailbox",
    "reason",
    "confirm",
    "name",
    "company_name",
    "email",
    "login",
    "password",
    "current",
    "password1",
    "role",
    "timezone",
    "domain",
    "display_name",
    "quota_mb",
    "addresses",
    "recovery_email",
    "scopes",
    "expires",
    "incoming",
    "do",
    "ids",
    "row",
    "folder",
    "thread",
    "view",
    "next",
    "text",
    "html",
    "attached",
    "draft_id",
    "answers",
    "message_id",
]


def url_of(route: Route, objects: dict[str, Any], text: str = "x") -> str | None:
    """An address of the route; its free parameters hold `text`. None where they cannot, and for the style guide."""
    if route.name.startswith("web:dev_"):
        return None
    for value in (text, "email", "1"):
        try:
            return reverse(route.name, kwargs={name: objects.get(name, value) for name in route.parameters})
        except NoReverseMatch:
            continue
    return None


@pytest.fixture
def people(cast: Cast) -> dict[str, Client]:
    domain = make_domain(cast.acme, "people.test", active=True)
    reader, _mailbox = make_mailbox_person(cast.acme, domain, "reader")
    return {"guest": Client(), "owner": cast.owner.client, "user": cast.user.client, "reader": reader.client}


@pytest.fixture(autouse=True)
def _no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """This walk asks more often than anybody may."""
    from deftmail.kit import ratelimit

    monkeypatch.setattr(ratelimit, "hit", lambda *_args, **_kwargs: ratelimit.Verdict(True))


@pytest.mark.parametrize("odd", ODD)
def test_no_query_and_no_form_of_any_route_is_a_fault(cast: Cast, people: dict[str, Client], odd: str) -> None:
    objects = _objects(cast)
    for route in ROUTES:
        url = url_of(route, objects, odd)
        if url is None or route.name.endswith("delete") or route.name == "account_logout":
            continue
        for who, client in people.items():
            answers = {
                "GET": client.get(url, dict.fromkeys(NAMES, odd)),
                "POST": client.post(url, dict.fromkeys(FIELDS, odd)),
            }
            for method, answer in answers.items():
                # 503: these people's mailboxes are in no engine.
                assert answer.status_code < 500 or answer.status_code == 503, (method, route.name, who, odd)
                assert b"><script>" not in (b"" if answer.streaming else answer.content), (method, route.name, who)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT"])
def test_no_method_is_a_fault_or_changes_anything_unasked(cast: Cast, people: dict[str, Client], method: str) -> None:
    objects = _objects(cast)
    for route in ROUTES:
        url = url_of(route, objects)
        if url is not None:
            for who, client in people.items():
                answer = client.generic(method, url)
                assert answer.status_code < 500 or answer.status_code == 503, (method, route.name, who)


def test_no_post_of_a_page_is_taken_without_its_token(cast: Cast) -> None:
    objects = _objects(cast)
    walked = 0
    for person in (cast.owner, cast.user):
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(person.user)
        for route in ROUTES:
            # The API and the mail server's door take no session at all: a key or a secret, or 401.
            if route.name.startswith(("api-v1:", "gate:")) or (url := url_of(route, objects)) is None:
                continue
            for headers in ({}, {"HX-Request": "true"}, {"Origin": "https://evil.example"}):
                answer = browser.post(url, headers=headers)
                refused = 401 if "HX-Request" in headers else 403
                assert answer.status_code in (refused, 405), (route.name, headers, answer.status_code)
                walked += 1
    assert walked > 100


@pytest.mark.parametrize("host", ["evil.example:80"])
def test_no_host_header_comes_back_in_a_page_or_a_redirect(cast: Cast, people: dict[str, Client], host: str) -> None:
    objects = _objects(cast)
    for route in ROUTES:
        url = url_of(route, objects)
        if url is None:
            continue
        for client in people.values():
            answer = client.get(url, headers={"host": host, "x-forwarded-host": "evil.example"})
            assert answer.status_code < 500 or answer.status_code == 503
            assert "evil.example" not in answer.headers.get("Location", "")
            assert b"//evil.example" not in (b"" if answer.streaming else answer.content), route.name
