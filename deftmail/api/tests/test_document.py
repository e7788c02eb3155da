"""The OpenAPI document: committed as it is served, complete, and its examples are true."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from deftmail.api import examples, schemas
from deftmail.api.management.commands import openapi
from deftmail.api.tests.test_keys import DOCUMENT, IDS, OPERATIONS
from deftmail.kit.bodylimit import limit_of
from deftmail.kit.ratelimit import LIMITS

ANSWERS: dict[str, Any] = {
    "create_domain": schemas.DomainOut,
    "get_domain": schemas.DomainOut,
    "verify_domain": schemas.DomainOut,
    "list_domains": schemas.DomainPage,
    "create_mailbox": schemas.MailboxOut,
    "get_mailbox": schemas.MailboxOut,
    "change_mailbox": schemas.MailboxOut,
    "may_send": schemas.MaySend,
    "list_mailboxes": schemas.MailboxPage,
}
BODIES: dict[str, Any] = {
    "create_domain": schemas.DomainIn,
    "create_mailbox": schemas.MailboxIn,
    "change_mailbox": schemas.MailboxChange,
    "set_mailbox_password": schemas.PasswordIn,
}


def test_the_committed_document_is_that_of_the_code():
    call_command("openapi", "--check")


def test_a_difference_fails_the_check_and_is_shown(monkeypatch, tmp_path):
    path = tmp_path / "openapi.json"
    guide = tmp_path / "api.md"
    guide.write_text(openapi.GUIDE.read_text())
    monkeypatch.setattr(openapi, "PATH", path)
    monkeypatch.setattr(openapi, "GUIDE", guide)
    call_command("openapi", stdout=StringIO())
    call_command("openapi", "--check")
    path.write_text(path.read_text().replace("list_domains", "list_names"))
    with pytest.raises(CommandError, match="list_names"):
        call_command("openapi", "--check")
    path.unlink()
    guide.write_text(guide.read_text().replace("domain-taken", "domain-gone"))
    with pytest.raises(CommandError, match="out of date"):
        call_command("openapi", "--check")


def test_the_guide_says_the_limits_that_hold():
    guide = openapi.GUIDE.read_text()
    for name, what in (("api_read", "reads"), ("api_write", "writes")):
        limit = LIMITS[name]
        assert limit.seconds == 60
        assert f"{limit.count:,} {what}" in guide
        assert f"{limit.count:,} {what}" in DOCUMENT["info"]["description"]
    assert "64 KiB" in guide
    assert limit_of("/api/v1/domains") == 64 * 1024


@pytest.mark.django_db
def test_it_is_served_to_everybody():
    answer = Client().get("/api/v1/openapi.json")
    assert answer.status_code == 200
    assert answer.json() == DOCUMENT


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=IDS)
def test_an_operation_says_what_a_stranger_needs(method, path, operation):
    assert operation["summary"]
    assert len(operation["description"]) > 20
    assert operation["tags"]
    ((scheme, scopes),) = operation["security"][0].items()
    assert scheme in DOCUMENT["components"]["securitySchemes"]
    assert scopes[0].split(":")[1] == ("read" if method == "GET" else "write")
    assert {"401", "403", "429", "503"} <= set(operation["responses"])
    for status, answer in operation["responses"].items():
        assert answer["description"]
        if int(status) >= 400:
            assert list(answer["content"]) == ["application/problem+json"]
            schemas.Problem.model_validate(answer["content"]["application/problem+json"]["example"])
    for parameter in operation["parameters"]:
        assert parameter.get("description"), parameter["name"]
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert ("Idempotency-Key" in names) == (method == "POST")


@pytest.mark.parametrize("name", IDS)
def test_every_example_fits_its_schema(name):
    if name in ANSWERS:
        ANSWERS[name].model_validate(examples.ANSWERS[name])
    if name in BODIES:
        BODIES[name].model_validate(examples.BODIES[name])
    assert (name in examples.ANSWERS) == (name in ANSWERS)
    assert (name in examples.BODIES) == (name in BODIES)
