"""Two at once, with committed rows and real locks."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.db import connections
from django.urls import reverse

from deftmail.domains.actions import delete_domain
from deftmail.domains.testing import make_domain
from deftmail.kit.errors import Refusal
from deftmail.kit.tenancy import tenant_tx
from deftmail.kit.testing import GOOD_PASSWORD
from deftmail.mailboxes.actions import create_mailbox, set_mailbox_password
from deftmail.mailboxes.models import MailUser
from deftmail.tenants.models import Membership
from deftmail.tenants.testing import make_company, set_columns

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "system", "owner"])


def at_once(*acts):
    """Run each in a thread of its own, started together; returns what each answered: a value or a Refusal."""
    barrier = threading.Barrier(len(acts))
    answers: list[Any] = [None] * len(acts)

    def run(index, act):
        barrier.wait()
        try:
            answers[index] = act()
        except Refusal as refusal:
            answers[index] = refusal
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return answers


@pytest.fixture
def owner(db):
    owner = make_company("Acme", "owner@signup.example")
    make_domain(owner.tenant, "acme.test", active=True)
    return owner


def create(owner, email):
    return lambda: create_mailbox(actor=owner.actor, email=email, password=GOOD_PASSWORD)


def test_at_the_ceiling_one_of_many_creates_succeeds(owner):
    set_columns(owner.tenant, max_mailboxes=1)

    answers = at_once(*(create(owner, f"box{number}@acme.test") for number in range(4)))

    made = [answer for answer in answers if isinstance(answer, MailUser)]
    refused = [answer for answer in answers if isinstance(answer, Refusal)]
    assert (len(made), len(refused)) == (1, 3)
    assert {refusal.code for refusal in refused} == {"mailbox-limit-reached"}
    with tenant_tx(owner.tenant.pk):
        assert MailUser.objects.count() == 1
    assert Membership.objects.filter(tenant=owner.tenant).count() == 2  # the owner and one person


def test_the_same_address_twice_at_once_makes_one(owner):
    answers = at_once(*(create(owner, "alice@acme.test") for _ in range(3)))

    assert sorted(getattr(answer, "code", "made") for answer in answers) == ["address-taken", "address-taken", "made"]


def test_a_domain_that_goes_takes_no_mailbox_with_it_unseen(owner):
    with tenant_tx(owner.tenant.pk):
        domain = owner_domain()

    answers = at_once(
        create(owner, "alice@acme.test"),
        lambda: delete_domain(actor=owner.actor, domain_id=domain, confirm="acme.test"),
    )

    codes = [getattr(answer, "code", "done") for answer in answers]
    # Either the mailbox was first and the domain stays, or the domain was first and there is no place for a mailbox.
    assert codes in (["done", "domain-holds-addresses"], ["domain-not-yours", "done"])
    with tenant_tx(owner.tenant.pk):
        assert MailUser.objects.count() == (1 if codes[0] == "done" else 0)


def owner_domain():
    from deftmail.domains.models import Domain

    return Domain.objects.get().pk


def test_no_connection_is_held_while_a_password_is_hashed(owner, monkeypatch):
    """Ten at once would leave none of the pool to all other pages."""
    held = []

    def looked(*args):
        held.append([each.alias for each in connections.all(initialized_only=True) if each.connection is not None])
        return make_password(*args)

    for module in ("create", "password"):
        monkeypatch.setattr(f"deftmail.mailboxes.actions.{module}.make_password", looked)
    mailbox = create_mailbox(actor=owner.actor, email="alice@acme.test", password=GOOD_PASSWORD)
    set_mailbox_password(actor=owner.actor, mailbox_id=mailbox.pk, password="tin harbour velvet moss")
    page = {"email": "bob", "domain": "acme.test", "password": GOOD_PASSWORD}
    assert owner.client.post(reverse("mailboxes:add"), page).status_code == 303
    reset = {"reset-password": "tin harbour velvet moss"}
    assert owner.client.post(reverse("mailboxes:password", args=[mailbox.pk]), reset).status_code == 303
    assert held == [[]] * 4
