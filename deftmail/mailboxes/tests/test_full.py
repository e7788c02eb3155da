"""A mailbox that fills up: since when it is full, who is told and how often, where it is shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now
from hypothesis import given
from hypothesis import strategies as st

from deftmail.domains.testing import make_domain
from deftmail.kit.tenancy import tenant_tx
from deftmail.kit.testing import waiting_jobs
from deftmail.mailboxes import tasks
from deftmail.mailboxes.actions import change_mailbox, record_usage
from deftmail.mailboxes.fullness import LEVELS, level_of, percent
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.testing import make_mailbox_person, reload
from deftmail.tenants.models import User
from deftmail.tenants.testing import run_jobs

MIB = 1024 * 1024
WAVERING = [(79, 80, 80), (76, 80, 80), (75, 80, 0), (92, 95, 95), (90, 95, 80)]


class TestLevels:
    @pytest.mark.parametrize(
        ("share", "told", "level"),
        [(79, 0, 0), (80, 0, 80), (94, 80, 80), (95, 80, 95), (100, 80, 100), (250, 0, 100)],
    )
    def test_a_level_is_reached_at_its_per_cent(self, share, told, level):
        assert level_of(share, told) == level

    @pytest.mark.parametrize(
        ("share", "told", "level"), [(79, 80, 80), (76, 80, 80), (75, 80, 0), (92, 95, 95), (90, 95, 80)]
    )
    def test_is_left_only_well_below_it(self, share, told, level):
        assert level_of(share, told) == level

    @given(shares=st.lists(st.integers(0, 130), max_size=60), first=st.sampled_from((0, *LEVELS)))
    def test_wavering_within_five_per_cent_of_a_level_never_tells_it_twice(self, shares, first):
        told = first
        lowest: dict[int, int] = dict.fromkeys([level for level in LEVELS if level <= first], 200)
        for share in shares:
            for level in lowest:
                lowest[level] = min(lowest[level], share)
            new = level_of(share, told)
            if new > told:
                assert share >= new
                assert lowest.get(new, 0) <= new - 5, "told twice without falling well below"
                lowest[new] = share
            told = new

    def test_without_a_quota_nothing_fills_up_and_a_quota_of_nothing_is_full(self):
        assert percent(10**12, None) == 0
        assert percent(0, 0) == 100


@pytest.mark.django_db
class TestMeasuring:
    @pytest.fixture
    def alice(self, cast):
        return make_mailbox_person(cast.acme, make_domain(cast.acme, "acme.test", active=True), "alice", quota_mb=100)[
            1
        ]

    @staticmethod
    def measured(mailbox: MailUser, share: int) -> MailUser:
        record_usage(mailbox.tenant_id, {mailbox.pk: share * MIB})
        return reload(mailbox)

    @staticmethod
    def told() -> list[tuple[str, Any]]:
        run_jobs(tasks.tell_filling_job, tasks.send_filling_mail)
        sent = sorted((message.to[0], message.subject) for message in mail.outbox)
        mail.outbox.clear()
        return sent

    def test_full_since_is_when_it_was_first_measured_full(self, alice):
        assert self.measured(alice, 99).full_since is None
        first = self.measured(alice, 100).full_since
        assert first is not None
        assert self.measured(alice, 103).full_since == first
        assert self.measured(alice, 99).full_since is None

    def test_the_person_and_the_owner_are_told_once_at_80_and_once_at_95(self, cast, alice):
        people = sorted(["alice@acme.test", cast.owner.email])
        assert self.told() == []
        self.measured(alice, 81)
        assert self.told() == [(to, "alice@acme.test is 80 % full") for to in people]
        self.measured(alice, 85)
        self.measured(alice, 79)
        self.measured(alice, 82)
        assert self.told() == []
        self.measured(alice, 96)
        assert self.told() == [(to, "alice@acme.test is 95 % full") for to in people]

    def test_after_tidying_up_the_next_crossing_is_told_again(self, alice):
        self.measured(alice, 81)
        self.measured(alice, 40)
        self.told()
        self.measured(alice, 81)
        assert len(self.told()) == 2

    def test_full_is_told_where_it_can_still_be_read(self, cast, alice):
        User.objects.filter(pk=alice.user_id).update(recovery_email="al@home.example", recovery_email_verified_at=now())
        self.measured(alice, 100)
        assert self.told() == [(to, "alice@acme.test is full") for to in sorted(["al@home.example", cast.owner.email])]

    def test_a_mailbox_emptied_before_the_mail_went_out_is_not_told(self, alice):
        self.measured(alice, 81)
        self.measured(alice, 3)
        assert self.told() == []

    def test_the_mail_says_what_is_used_and_what_comes(self, cast, alice):
        self.measured(alice, 96)
        run_jobs(tasks.tell_filling_job, tasks.send_filling_mail)
        text = {message.to[0]: message.body for message in mail.outbox}
        assert "96 MB of 100 MB" in text["alice@acme.test"]
        assert "ask the administrator" in text["alice@acme.test"]
        assert reverse("webmail:index") in text["alice@acme.test"]
        assert alice.get_absolute_url() in text[cast.owner.email]
        assert "7 days" in text[cast.owner.email]

    def test_a_smaller_size_makes_it_full_and_a_larger_one_frees_it(self, cast, alice):
        self.measured(alice, 50)
        change_mailbox(actor=cast.owner.actor, mailbox_id=alice.pk, quota_mb=20)
        assert reload(alice).full_since is not None
        assert len(waiting_jobs(tasks.tell_filling_job)) == 1
        change_mailbox(actor=cast.owner.actor, mailbox_id=alice.pk, quota_mb=500)
        assert (reload(alice).full_since, reload(alice).quota_told) == (None, 0)

    def test_two_measurements_write_nothing_when_nothing_changed(self, alice):
        self.measured(alice, 96)
        with CaptureQueriesContext(connection) as queries:
            assert record_usage(alice.tenant_id, {alice.pk: 96 * MIB}) == 0
        assert not [query for query in queries if query["sql"].startswith("UPDATE")]


@pytest.mark.django_db
class TestShown:
    @pytest.fixture
    def alice(self, cast):
        box = make_mailbox_person(cast.acme, make_domain(cast.acme, "acme.test", active=True), "alice", quota_mb=100)[1]
        record_usage(box.tenant_id, {box.pk: 100 * MIB})
        with tenant_tx(box.tenant_id):
            MailUser.objects.filter(pk=box.pk).update(last_login_at=now())
        return reload(box)

    def test_on_its_page_with_the_day_from_which_mail_is_refused(self, cast, alice):
        page = cast.owner.client.get(alice.get_absolute_url()).content.decode()
        assert "This mailbox is full" in page
        assert "senders&#x27; servers until" in page or "senders' servers until" in page
        with tenant_tx(alice.tenant_id):
            MailUser.objects.filter(pk=alice.pk).update(full_since=now() - timedelta(days=8))
        assert "new mail is refused" in cast.owner.client.get(alice.get_absolute_url()).content.decode()

    def test_on_the_overview(self, cast, alice):
        assert "alice@acme.test is full" in cast.owner.client.get(reverse("web:overview")).content.decode()
