"""The sending pages: what they show, what they refuse, and that a stranger finds nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.core.cache import cache
from django.urls import reverse

from deftmail.domains.testing import make_domain
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.testing import make_mailbox, make_mailbox_person
from deftmail.sending import actions, counters
from deftmail.sending.counters import CountersAway
from deftmail.sending.limits import LIMITS, Meter
from deftmail.sending.models import ReviewCase
from deftmail.tenants.models import Tenant
from deftmail.tenants.testing import make_member, set_columns

pytestmark = pytest.mark.django_db

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)


class Counters:
    """Counters without Redis: recipients of 24 hours by mailbox or domain."""

    def __init__(self) -> None:
        self.used: dict[Any, int] = {}
        self.away = False

    def meters(self, row: Any, company: Tenant) -> list[Meter]:
        if self.away:
            raise CountersAway
        found = []
        for limit in LIMITS:
            used = self.used.get(row.pk, 0) if limit.name.endswith("day") else 0
            found.append(Meter(limit.name, used, getattr(company, limit.column), NOON if used else None))
        return found

    def usage_of_mailboxes(self, mailboxes: list[MailUser]) -> dict[Any, list[Meter]]:
        return {row.pk: self.meters(row, row.tenant) for row in mailboxes}

    def usage_of_domain(self, domain: Any) -> list[Meter]:
        return [meter for meter in self.meters(domain, domain.tenant) if meter.name == "domain_day"]


@pytest.fixture
def used(monkeypatch):
    fake = Counters()
    monkeypatch.setattr(counters, "usage_of_mailboxes", fake.usage_of_mailboxes)
    monkeypatch.setattr(counters, "usage_of_domain", fake.usage_of_domain)
    return fake


@pytest.fixture
def domain(cast):
    return make_domain(cast.acme, "acme.test", active=True)


@pytest.fixture
def alice(cast, domain):
    return make_mailbox_person(cast.acme, domain, "alice", display_name="Alice Adams")[1]


@pytest.fixture
def stopped(cast, alice):
    with tenant_tx(cast.acme.pk):
        return actions.block(
            tenant_id=cast.acme.pk,
            kind="review",
            reason="A recipient complained.",
            evidence="12 reports",
            mailbox=alice,
        )


def text_of(response):
    return response.content.decode()


def url(name, *args):
    return reverse(f"sending:{name}", args=args)


class TestTheDoor:
    def test_leads_each_to_his_meter(self, cast):
        assert cast.owner.client.get("/sending")["Location"] == url("meter")
        answer = cast.user.client.get("/sending")
        assert answer["Location"] == reverse("webmail:index")
        [said] = get_messages(answer.wsgi_request)
        assert "ask an administrator of your company" in said.message


class TestTheMeter:
    def test_shows_used_left_and_when_it_frees(self, cast, used, alice, domain):
        used.used = {alice.pk: 300, domain.pk: 4100}
        page = text_of(cast.admin.client.get(url("meter")))
        for words in ("alice@acme.test", "Alice Adams", "300 of 1,000", "700 left, more from", "4,100 of 5,000"):
            assert words in page

    def test_unlimited_is_said(self, cast, used, alice):
        set_columns(cast.acme, recipients_per_mailbox_day=None)
        assert "No limit" in text_of(cast.admin.client.get(url("meter")))

    def test_while_counters_are_away_it_says_so_and_shows_the_rest(self, cast, used, alice, stopped):
        used.away = True
        page = text_of(cast.admin.client.get(url("meter")))
        for words in ("not known at the moment", "alice@acme.test", "A recipient complained."):
            assert words in page

    def test_a_block_shows_reason_evidence_and_the_way_out(self, cast, used, stopped):
        page = text_of(cast.owner.client.get(url("meter")))
        for words in ("Sending from alice@acme.test is stopped", "A recipient complained.", "12 reports",
                      "Only sending is stopped", url("appeal", stopped.pk)):  # fmt: skip
            assert words in page

    def test_a_block_is_told_on_the_overview(self, cast, stopped):
        page = text_of(cast.owner.client.get(reverse("web:overview")))
        for words in ("Sending from alice@acme.test is stopped", "A recipient complained.", url("meter")):
            assert words in page

    def test_searches_and_pages(self, cast, used, domain):
        for number in range(27):
            make_mailbox(domain, f"box{number:02}")
        first = text_of(cast.owner.client.get(url("meter") + "?sort=address"))
        assert "box00@acme.test" in first
        assert "box26@acme.test" not in first
        assert "box26@acme.test" in text_of(cast.owner.client.get(url("meter") + "?sort=address&page=2"))
        found = text_of(cast.owner.client.get(url("meter") + "?q=box13"))
        assert "box13@acme.test" in found
        assert "box14@acme.test" not in found
        assert "No mailbox matches" in text_of(cast.owner.client.get(url("meter") + "?q=zzz"))

    def test_asks_the_database_no_more_for_many_mailboxes(
        self, cast, used, domain, stopped, django_assert_max_num_queries
    ):
        for _each in range(20):
            make_mailbox(domain)
        cache.clear()
        with django_assert_max_num_queries(20):
            cast.owner.client.get(url("meter"))

    def test_is_not_for_mailbox_people(self, cast):
        assert cast.user.client.get(url("meter")).status_code == 403

    def test_of_another_company_shows_nothing_of_this_one(self, cast, used, stopped):
        page = text_of(cast.stranger.client.get(url("meter")))
        assert "acme" not in page.replace("acme-", "")


class TestOneMailbox:
    def test_shows_every_limit(self, cast, used, alice):
        page = text_of(cast.owner.client.get(url("mailbox", alice.pk)))
        for words in ("Recipients a day, this mailbox", "an hour", "a minute", "New recipients", "whole domain"):
            assert words in page

    def test_is_absent_for_a_stranger(self, cast, used, alice, stopped):
        assert cast.stranger.client.get(url("mailbox", alice.pk)).status_code == 404
        assert cast.stranger.client.get(url("appeal", stopped.pk)).status_code == 404
        assert cast.stranger.client.post(url("appeal", stopped.pk), {"text": "Please."}).status_code == 404


class TestAsking:
    def test_for_a_review(self, cast, used, stopped):
        response = cast.owner.client.post(url("appeal", stopped.pk), {"text": "It was our newsletter."})
        assert (response.status_code, response["Location"]) == (303, url("meter"))
        page = text_of(cast.owner.client.get(url("meter")))
        assert "You asked for a review" in page
        again = cast.owner.client.post(url("appeal", stopped.pk), {"text": "Please."})
        assert again.status_code == 422
        assert "You have asked already" in text_of(again)

    def test_for_more_keeps_what_was_typed_when_something_is_wrong(self, cast, used, alice):
        response = cast.owner.client.post(url("more"), {"mailbox": alice.pk, "wanted": "-4", "text": "A newsletter"})
        assert response.status_code == 422
        assert "A newsletter" in text_of(response)

    def test_for_more(self, cast, used, alice):
        response = cast.owner.client.post(url("more"), {"mailbox": alice.pk, "wanted": "2000", "text": "A newsletter"})
        assert response.status_code == 303
        with tenant_tx(cast.acme.pk):
            case = ReviewCase.objects.get()
        assert (case.kind, case.wanted, case.mail_user_id) == ("more", 2000, alice.pk)
        assert "Request for more" in text_of(cast.owner.client.get(url("meter")))

    def test_for_another_companys_mailbox_is_no_choice(self, cast, used, alice):
        response = cast.stranger.client.post(url("more"), {"mailbox": alice.pk, "text": "A newsletter"})
        assert response.status_code == 422

    def test_is_for_console_people(self, cast, used, stopped):
        assert make_member(cast.acme).client.post(url("more"), {"text": "More."}).status_code == 403
