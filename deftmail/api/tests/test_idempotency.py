"""One Idempotency-Key, one act: repeated, raced, refused, abandoned."""

from __future__ import annotations

import hashlib
import json
import threading
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from deftmail.api import idempotency
from deftmail.api.models import IdempotencyKey
from deftmail.api.tasks import forget_idempotency_keys
from deftmail.api.tests.conftest import Caller, key_of
from deftmail.domains.testing import make_domain
from deftmail.kit.tenancy import tenant_tx
from deftmail.kit.testing import GOOD_PASSWORD
from deftmail.mailboxes.testing import make_mailbox, reload
from deftmail.tenants.testing import audit_of, make_client

pytestmark = pytest.mark.django_db(databases=["default", "system"])
COMMITTED = pytest.mark.django_db(databases=["default", "system"], transaction=True)
NEW = {"email": "anna@acme.example.com", "password": GOOD_PASSWORD}


@pytest.fixture
def domain(cast):
    return make_domain(cast.acme, "acme.example.com", active=True)


def keys_of(tenant):
    with tenant_tx(tenant.pk):
        return list(IdempotencyKey.objects.filter(tenant_id=tenant.pk))


def test_a_repetition_gets_the_first_answer_and_makes_nothing(call, cast, domain):
    first = call("POST", "/mailboxes", NEW, Idempotency_Key="one")
    again = call("POST", "/mailboxes", NEW, Idempotency_Key="one")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again["Content-Type"] == first["Content-Type"]
    assert (again["Idempotency-Replayed"], "Idempotency-Replayed" in first) == ("true", False)
    assert len(audit_of(cast.acme, "mailbox.created")) == 1


def test_without_a_key_a_repetition_is_a_second_act(call, domain):
    assert call("POST", "/mailboxes", NEW).status_code == 201
    assert call("POST", "/mailboxes", NEW).status_code == 409


def test_an_answer_without_a_body_is_repeated_too(call, domain):
    mailbox = make_mailbox(domain, "anna")
    path = f"/mailboxes/{mailbox.pk}/password"
    assert call("POST", path, {"password": "quiet harbour tram sixteen"}, Idempotency_Key="p").status_code == 204
    stored = reload(mailbox).password_hash
    again = call("POST", path, {"password": "quiet harbour tram sixteen"}, Idempotency_Key="p")
    assert (again.status_code, again.content) == (204, b"")
    assert reload(mailbox).password_hash == stored


def test_the_key_of_another_request_is_refused(call, domain):
    call("POST", "/mailboxes", NEW, Idempotency_Key="one")
    refused = call("POST", "/mailboxes", NEW | {"email": "jonas@acme.example.com"}, Idempotency_Key="one")
    assert refused.status_code == 422
    assert refused.json()["type"].endswith("/idempotency-key-reused")


def test_another_key_of_the_company_does_not_get_the_answer(call, cast, domain):
    call("POST", "/mailboxes", NEW, Idempotency_Key="one")
    other = Caller(key_of(cast.admin))
    refused = other("POST", "/mailboxes", NEW, Idempotency_Key="one")
    assert refused.status_code == 422
    assert "anna@" not in refused.content.decode()


def test_two_companies_may_use_the_same_key(call, cast, domain):
    make_domain(cast.other, "other.example.com", active=True)
    call("POST", "/mailboxes", NEW, Idempotency_Key="one")
    stranger = Caller(key_of(cast.stranger))
    made = stranger("POST", "/mailboxes", NEW | {"email": "a@other.example.com"}, Idempotency_Key="one")
    assert made.status_code == 201


def test_a_refused_request_gives_its_key_back(call, cast, domain):
    refused = call("POST", "/mailboxes", NEW | {"password": "123"}, Idempotency_Key="one")
    assert refused.status_code == 422
    assert keys_of(cast.acme) == []
    assert call("POST", "/mailboxes", NEW, Idempotency_Key="one").status_code == 201


def test_the_password_cannot_be_guessed_from_what_is_kept(call, cast, domain):
    call("POST", "/mailboxes", NEW, Idempotency_Key="one")
    (row,) = keys_of(cast.acme)
    assert GOOD_PASSWORD not in str(row.body)
    for head in ("", "POST /api/v1/mailboxes\n"):
        assert row.request_hash != hashlib.sha256(head.encode() + json.dumps(NEW).encode()).hexdigest()


@pytest.mark.parametrize("key", ["x" * 256, "tab\there", "žluť"])
def test_a_malformed_key_is_refused(call, domain, key):
    refused = call("POST", "/mailboxes", NEW, Idempotency_Key=key)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "Idempotency-Key"


def test_a_first_request_that_does_not_end_is_said_to_be_running(call, cast, domain, monkeypatch):
    monkeypatch.setattr(idempotency, "WAIT", 0.0)
    call("POST", "/mailboxes", NEW, Idempotency_Key="one")
    with tenant_tx(cast.acme.pk):
        IdempotencyKey.objects.update(status=None, body=None)
    refused = call("POST", "/mailboxes", NEW, Idempotency_Key="one")
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("/idempotency-key-running")
    assert int(refused["Retry-After"]) >= 1

    # Its process died: after a minute the key may be taken over, and the act itself says that it happened.
    with tenant_tx(cast.acme.pk):
        IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(seconds=61))
    taken = call("POST", "/mailboxes", NEW, Idempotency_Key="one")
    assert taken.json()["type"].endswith("/address-taken")


@COMMITTED
def test_two_at_once_with_one_key_make_one_object(cast):
    make_domain(cast.acme, "acme.example.com", active=True)
    raw = key_of(cast.owner)
    answers = []
    barrier = threading.Barrier(4)

    def send():
        caller = Caller(raw, make_client())
        barrier.wait()
        try:
            answers.append(caller("POST", "/mailboxes", NEW, Idempotency_Key="one"))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [201] * 4, [answer.content for answer in answers]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer for answer in answers) == 1


@COMMITTED
def test_answers_are_forgotten_after_a_day(call, cast):
    make_domain(cast.acme, "acme.example.com", active=True)
    call("POST", "/mailboxes", NEW, Idempotency_Key="old")
    call("POST", "/mailboxes", NEW | {"email": "jonas@acme.example.com"}, Idempotency_Key="new")
    with tenant_tx(cast.acme.pk):
        IdempotencyKey.objects.filter(key="old").update(created_at=timezone.now() - timedelta(hours=25))
    forget_idempotency_keys()
    assert [row.key for row in keys_of(cast.acme)] == ["new"]
