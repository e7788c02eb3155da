"""Who is told at 80 % of a day's limit: the person and the owners, once a day."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.utils.timezone import now

from deftmail.domains.models import Domain
from deftmail.domains.testing import make_domain
from deftmail.kit.tenancy import tenant_tx
from deftmail.kit.testing import waiting_jobs
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.testing import make_mailbox
from deftmail.sending import counters, tasks
from deftmail.sending.actions.warn import warn_near
from deftmail.sending.counters import CountersAway
from deftmail.sending.limits import Meter, Whose
from deftmail.sending.models import RateLimit
from deftmail.tenants.models import Role
from deftmail.tenants.testing import make_company, make_member, run_jobs

HOUR = timedelta(hours=1)


def use(whose: MailUser | Domain, *hours: int, ago: int = 0) -> None:
    """`hours[i]` recipients in the hour i hours before `ago` hours ago, as the mirror holds them."""
    top = now().replace(minute=0, second=0, microsecond=0)
    with tenant_tx(whose.tenant_id):
        for back, count in enumerate(hours, start=ago):
            begins = top - back * HOUR
            RateLimit.objects.create(
                tenant_id=whose.tenant_id,
                mail_user=whose if isinstance(whose, MailUser) else None,
                domain=whose if isinstance(whose, Domain) else None,
                limit_type="mailbox_day" if isinstance(whose, MailUser) else "domain_day",
                hour=begins,
                current_count=count,
                max_limit=1000,
                reset_at=begins + 25 * HOUR,
            )


@pytest.mark.django_db(transaction=True, databases=["default", "system", "owner"])
class TestTheWalk:
    @pytest.fixture
    def acme(self, db):
        return make_company("Acme", "olive@acme-signup.example")

    @pytest.fixture
    def alice(self, acme):
        return make_mailbox(make_domain(acme.tenant, "acme.test", active=True), "alice")

    def test_tells_the_person_and_the_owner_at_80_per_cent_once_a_day(self, acme, alice):
        use(alice, 500, 299)
        tasks.tell_who_is_near()
        assert waiting_jobs(tasks.tell_of_limit_job) == []
        use(alice, 1, ago=2)
        tasks.tell_who_is_near()
        told = [(job["to"], job["names"]) for job in waiting_jobs(tasks.tell_of_limit_job)]
        assert told == [("alice@acme.test", ["mailbox_day"]), (acme.email, ["mailbox_day"])]
        tasks.tell_who_is_near()
        assert len(waiting_jobs(tasks.tell_of_limit_job)) == 2
        with tenant_tx(acme.tenant.pk):
            MailUser.objects.filter(pk=alice.pk).update(sending_told_at=now() - 24 * HOUR)
        tasks.tell_who_is_near()
        assert len(waiting_jobs(tasks.tell_of_limit_job)) == 4

    def test_tells_owners_and_admins_of_a_whole_domains_limit_once_a_day(self, acme, alice):
        admin = make_member(acme.tenant, Role.ADMIN, "adam@acme-signup.example")
        make_member(acme.tenant, Role.USER, "ursula@acme-signup.example")
        use(alice.domain, 2000, 1999)
        tasks.tell_who_is_near()
        assert waiting_jobs(tasks.tell_of_limit_job) == []
        use(alice.domain, 1, ago=2)
        for _ in range(2):
            tasks.tell_who_is_near()
        jobs = waiting_jobs(tasks.tell_of_limit_job)
        assert [(job["to"], job["names"], job["pk"]) for job in jobs] == [
            (person.email, ["domain_day"], str(alice.domain_id)) for person in (acme, admin)
        ]
        with tenant_tx(acme.tenant.pk):
            Domain.objects.filter(pk=alice.domain_id).update(sending_told_at=now() - 24 * HOUR)
        tasks.tell_who_is_near()
        assert len(waiting_jobs(tasks.tell_of_limit_job)) == 4

    def test_what_left_the_window_does_not_count(self, acme, alice):
        use(alice, 900, ago=26)
        tasks.tell_who_is_near()
        assert waiting_jobs(tasks.tell_of_limit_job) == []

    def test_an_unlimited_company_is_never_near(self, acme, alice):
        with tenant_tx(acme.tenant.pk):
            acme.tenant.recipients_per_mailbox_day = None
            acme.tenant.save(update_fields=["recipients_per_mailbox_day"])
        use(alice, 5000)
        tasks.tell_who_is_near()
        assert waiting_jobs(tasks.tell_of_limit_job) == []


@pytest.mark.django_db
class TestTheMail:
    @pytest.fixture
    def alice(self, cast):
        return make_mailbox(make_domain(cast.acme, "acme.test", active=True), "alice")

    def warn(self, mailbox: MailUser) -> None:
        with tenant_tx(mailbox.tenant_id):
            assert warn_near(mailbox.tenant_id, Whose.MAILBOX, mailbox.pk, ["mailbox_day"])

    def test_says_what_is_used_and_what_to_do(self, cast, alice, monkeypatch):
        near = [Meter("mailbox_day", 850, 1000, now() + HOUR), Meter("first_day", 3, 500)]
        monkeypatch.setattr(counters, "usage_of_mailboxes", lambda rows: {row.pk: near for row in rows})
        self.warn(alice)
        assert run_jobs(tasks.tell_of_limit_job) == 2
        by_person = {message.to[0]: message for message in mail.outbox}
        assert by_person["alice@acme.test"].subject == "alice@acme.test is near its sending limit"
        assert "850 of 1000 used, 150 left, more from" in by_person["alice@acme.test"].body
        assert "change your password now" in by_person["alice@acme.test"].body
        assert "request it on the page" in by_person[cast.owner.email].body

    def test_a_job_of_an_earlier_release_is_sent_too(self, cast, alice, monkeypatch):
        near = [Meter("mailbox_day", 850, 1000, now() + HOUR)]
        monkeypatch.setattr(counters, "usage_of_mailboxes", lambda rows: {row.pk: near for row in rows})
        tasks.tell_of_limit_job(
            tenant_id=str(cast.acme.pk), mailbox_id=str(alice.pk), names=["mailbox_day"], to="alice@acme.test"
        )
        assert "850 of 1000 used" in mail.outbox[0].body

    def test_of_a_whole_domain_says_so(self, cast, alice, monkeypatch):
        monkeypatch.setattr(counters, "usage_of_domain", lambda _row: [Meter("domain_day", 4100, 5000, now() + HOUR)])
        with tenant_tx(cast.acme.pk):
            warn_near(cast.acme.pk, Whose.DOMAIN, alice.domain_id, ["domain_day"])
        assert run_jobs(tasks.tell_of_limit_job) == 2
        assert {message.to[0] for message in mail.outbox} == {cast.owner.email, cast.admin.email}
        assert mail.outbox[0].subject == "acme.test is near its sending limit"
        assert "Recipients a day, whole domain: 4100 of 5000 used, 900 left" in mail.outbox[0].body
        assert "All mailboxes of the domain share this limit" in mail.outbox[0].body

    def test_waits_for_counters_that_are_away(self, alice, monkeypatch):
        def away(_rows):
            raise CountersAway

        monkeypatch.setattr(counters, "usage_of_mailboxes", away)
        with pytest.raises(OSError, match="counters"):
            tasks.tell_of_limit_job(str(alice.tenant_id), ["mailbox_day"], alice.email, pk=str(alice.pk))
        assert mail.outbox == []

    def test_of_a_deleted_mailbox_is_not_written(self, cast, alice):
        self.warn(alice)
        with tenant_tx(cast.acme.pk):
            alice.delete()
        assert run_jobs(tasks.tell_of_limit_job) == 2
        assert mail.outbox == []
