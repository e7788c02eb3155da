"""From a claim to an active domain and on: what looks write, whom they tell, who wins, what a failure leaves alone."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connections
from django.urls import reverse
from django.utils.timezone import now

from deftmail.domains import looking, tasks
from deftmail.domains.actions import add_domain, check_domain, poke_checks, retry_sync
from deftmail.domains.models import Domain
from deftmail.domains.records import checks_of
from deftmail.domains.selectors import system
from deftmail.domains.testing import make_domain, reload
from deftmail.engine.errors import EngineRefused, EngineUnavailable
from deftmail.kit.errors import Forbidden, NotFound
from deftmail.kit.tenancy import tenant_tx
from deftmail.kit.testing import run_jobs, waiting_jobs
from deftmail.mailproto import dnschecks
from deftmail.mailproto.dnsanswer import Answer
from deftmail.tenants.actor import Actor
from deftmail.tenants.errors import CompanySuspended
from deftmail.tenants.testing import audit_of, make_company, set_columns

BOTH = pytest.mark.django_db(databases=["default", "system"])
COMMITTED = pytest.mark.django_db(databases=["default", "system"], transaction=True)
ALL_JOBS = (tasks.sync_domain_job, tasks.tell_owner_job, tasks.check_domain_job, tasks.remove_domain_job)


def scheduled(domain: Domain) -> Domain:
    """A look of the schedule."""
    return check_domain(actor=Actor.system(domain.tenant_id), domain_id=domain.pk, asked=False)


def acts(tenant) -> list[str]:
    return [entry.action for entry in audit_of(tenant)]


@BOTH
def test_from_claim_to_active_without_a_click(cast, dns, fake_engine):
    domain = add_domain(actor=cast.owner.actor, name="acme.test")
    assert scheduled(domain).status == "pending"
    assert waiting_jobs(tasks.sync_domain_job) == []

    dns.publish(domain, "dkim")
    found = scheduled(domain)
    assert (found.status, found.is_proven, found.dkim_verified, found.mx_verified) == ("pending", True, True, False)
    run_jobs(*ALL_JOBS)
    assert fake_engine.domains["acme.test"].spec.active is False
    assert reload(domain).sync_state == "ready"

    dns.publish(domain)
    assert scheduled(domain).status == "verified"
    run_jobs(*ALL_JOBS)
    row = reload(domain)
    assert (row.status, row.sync_state) == ("active", "ready")
    assert row.activated_at is not None
    spec = fake_engine.domains["acme.test"].spec
    assert spec.active is True
    assert spec.id == row.pk
    assert spec.dkim.selector == "default"
    assert [(message.to, message.subject) for message in mail.outbox] == [([cast.owner.email], "acme.test is active")]
    assert f"/domains/{row.pk}/" in mail.outbox[0].body
    assert acts(cast.acme) == ["domain.added", "domain.ownership_proven", "domain.verified", "domain.activated"]


@BOTH
def test_all_records_at_once_activate_in_one_look(cast, dns, fake_engine):
    domain = make_domain(cast.acme, "acme.test")
    dns.publish(domain)
    check_domain(actor=cast.admin.actor, domain_id=domain.pk)
    run_jobs(*ALL_JOBS)
    assert reload(domain).status == "active"
    scheduled(domain)
    run_jobs(*ALL_JOBS)
    assert len(mail.outbox) == 1  # told once


@BOTH
def test_with_the_engine_away_a_domain_waits_verified_and_opens_when_it_is_back(cast, dns, fake_engine):
    domain = make_domain(cast.acme, "acme.test")
    dns.publish(domain)
    fake_engine.fail(EngineUnavailable("away"))
    scheduled(domain)
    run_jobs(*ALL_JOBS)
    assert reload(domain).status == "verified"
    assert mail.outbox == []
    fake_engine.heal()
    retry_sync(actor=cast.owner.actor, domain_id=domain.pk)
    run_jobs(*ALL_JOBS)
    assert reload(domain).status == "active"


@BOTH
def test_what_the_engine_refuses_is_shown_and_retried_by_a_person(cast, dns, fake_engine):
    domain = make_domain(cast.acme, "acme.test")
    dns.publish(domain)
    fake_engine.fail(EngineRefused("The key is not accepted."))
    scheduled(domain)
    run_jobs(*ALL_JOBS)
    row = reload(domain)
    assert (row.status, row.sync_state) == ("verified", "failed")
    assert row.sync_error
    page = cast.owner.client.get(row.get_absolute_url()).content.decode()
    assert "could not be set up" in page
    fake_engine.heal()
    assert cast.owner.client.post(f"/domains/{domain.pk}/retry/").status_code == 303
    run_jobs(*ALL_JOBS)
    assert reload(domain).status == "active"


@BOTH
def test_a_retry_before_ownership_is_proven_asks_nothing_of_the_engine(cast, dns):
    domain = make_domain(cast.acme)
    retry_sync(actor=cast.owner.actor, domain_id=domain.pk)
    assert waiting_jobs(tasks.sync_domain_job) == []


@BOTH
def test_a_dns_that_does_not_answer_changes_nothing(cast, dns, fake_engine):
    domain = make_domain(cast.acme, "acme.test")
    dns.publish(domain)
    scheduled(domain)
    run_jobs(*ALL_JOBS)
    before = reload(domain)
    dns.down = True
    for _ in range(5):
        scheduled(domain)
    row = reload(domain)
    same = ("status", "mx_verified", "spf_verified", "dkim_verified", "dmarc_verified", "degraded_since", "dns_records")
    assert {name: getattr(row, name) for name in same} == {name: getattr(before, name) for name in same}
    assert {check.state for check in checks_of(row)} == {"unknown"}
    assert len(mail.outbox) == 1


@BOTH
def test_a_record_that_breaks_is_told_once_and_never_stops_mail(cast, dns, fake_engine):
    domain = make_domain(cast.acme, "acme.test", active=True)
    dns.publish(domain, "mx", "spf", "dkim")
    for _ in range(2):
        scheduled(domain)
    assert reload(domain).is_degraded is False
    for _ in range(4):
        scheduled(domain)
    run_jobs(*ALL_JOBS)
    row = reload(domain)
    assert (row.status, row.is_degraded) == ("active", True)
    assert [message.subject for message in mail.outbox] == ["A record of acme.test broke"]
    assert "_dmarc.acme.test" in mail.outbox[0].body
    assert fake_engine.domains == {}  # the engine was not asked for anything
    dns.publish(domain)
    assert scheduled(domain).is_degraded is False
    assert acts(cast.acme) == ["domain.degraded", "domain.recovered"]


@BOTH
def test_a_claim_is_given_up_after_a_week_and_revived_by_asking(cast, dns, fake_engine):
    domain = make_domain(cast.acme, "acme.test", check_from=now() - timedelta(days=7, minutes=1))
    assert scheduled(domain).status == "failed"
    assert reload(domain).next_check_at is None
    run_jobs(*ALL_JOBS)
    assert [message.subject for message in mail.outbox] == ["acme.test was not found in the DNS"]
    dns.publish(domain)
    assert check_domain(actor=cast.owner.actor, domain_id=domain.pk).status == "verified"


@BOTH
def test_checks_say_what_was_found_and_what_to_do(cast, dns):
    domain = make_domain(cast.acme, "acme.test")
    dns.set("acme.test", "MX", "5 mx.elsewhere.test")
    dns.set("acme.test", "TXT", "v=spf1 include:_spf.elsewhere.test ~all")
    dns.set("_spf.elsewhere.test", "TXT", "v=spf1 ip4:192.0.2.9 -all")
    checks = {check.purpose: check for check in checks_of(scheduled(domain))}
    assert checks["mx"].state == "fail"
    assert checks["mx"].found == ("5 mx.elsewhere.test",)
    assert "mx.elsewhere.test" in checks["mx"].message
    assert checks["spf"].state == "fail"
    assert checks["spf"].record.replaces == ("v=spf1 include:_spf.elsewhere.test ~all",)
    assert "include:deftmail.test" in checks["spf"].expected
    assert checks["dkim"].state == "missing"
    assert checks["dkim"].todo


@BOTH
def test_a_stranger_cannot_check_and_a_mailbox_person_may_not(cast, dns):
    domain = make_domain(cast.acme, "acme.test")
    with pytest.raises(NotFound):
        check_domain(actor=cast.stranger.actor, domain_id=domain.pk)
    with pytest.raises(Forbidden):
        check_domain(actor=cast.user.actor, domain_id=domain.pk)
    assert dns.asked == []


@COMMITTED
def test_a_look_at_a_key_that_changed_meanwhile_is_thrown_away(dns):
    owner = make_company("Acme")
    domain = make_domain(owner.tenant, "acme.test")
    dns.publish(domain)

    class Rotating:
        def query(self, name, rtype):
            try:
                with tenant_tx(owner.tenant.pk):
                    Domain.objects.filter(pk=domain.pk).update(dkim_selector="dm202611")
            finally:
                connections.close_all()  # the questions are asked in threads of their own
            return dns.query(name, rtype)

    check_domain(actor=owner.actor, domain_id=domain.pk, resolver=Rotating())
    row = reload(domain)
    assert (row.dkim_selector, row.check_count, row.is_proven) == ("dm202611", 0, False)


@COMMITTED
def test_a_second_company_with_the_right_record_is_told_that_the_name_is_in_use(dns, fake_engine):
    first, second = make_company("First"), make_company("Second")
    make_domain(first.tenant, "acme.test", active=True)
    domain = make_domain(second.tenant, "acme.test", key=2)
    dns.publish(domain)
    found = check_domain(actor=second.actor, domain_id=domain.pk)
    assert (found.status, found.is_proven) == ("pending", False)
    assert found.held_elsewhere_at is not None
    page = second.client.get(found.get_absolute_url()).content.decode()
    assert "Another company uses this domain here" in page
    assert "First" not in page
    assert waiting_jobs(tasks.sync_domain_job) == []


@COMMITTED
def test_of_two_companies_that_prove_a_name_at_once_one_holds_it(dns, fake_engine):
    companies = [make_company("First"), make_company("Second")]
    claims = [make_domain(company.tenant, "acme.test", key=number) for number, company in enumerate(companies, 1)]
    tables = []
    for claim in claims:
        dns.publish(claim)
        tables.append(dict(dns.table))
    start, errors = threading.Barrier(2), []

    class Table:
        def __init__(self, table):
            self.table = table

        def query(self, name, rtype):
            return self.table.get((name, rtype), Answer("nxdomain"))

    def look(company, claim, table) -> None:
        start.wait()
        try:
            check_domain(actor=company.actor, domain_id=claim.pk, resolver=Table(table))
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=look, args=arguments) for arguments in zip(companies, claims, tables, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert errors == []
    rows = [reload(claim) for claim in claims]
    assert sorted(row.is_proven for row in rows) == [False, True]
    assert sorted(row.status for row in rows) == ["pending", "verified"]
    assert [row.held_elsewhere_at is not None for row in rows] == [not row.is_proven for row in rows]


@COMMITTED
def test_when_the_holder_lets_go_the_next_look_takes_the_name(dns, fake_engine):
    first, second = make_company("First"), make_company("Second")
    held = make_domain(first.tenant, "acme.test", active=True)
    domain = make_domain(second.tenant, "acme.test", key=2)
    dns.publish(domain)
    scheduled(domain)
    with tenant_tx(first.tenant.pk):
        held.delete()
    found = scheduled(domain)
    assert found.is_proven is True
    assert found.held_elsewhere_at is None


@COMMITTED
def test_due_looks_are_claimed_once_and_leased(dns):
    owner = make_company("Acme")
    due = make_domain(owner.tenant, "due.test", next_check_at=now() - timedelta(seconds=5))
    make_domain(owner.tenant, "later.test", next_check_at=now() + timedelta(minutes=5))
    make_domain(owner.tenant, "failed.test", next_check_at=None, status="failed")
    tasks.start_due_looks(timestamp=0)
    tasks.start_due_looks(timestamp=0)
    assert [job["domain_id"] for job in waiting_jobs(tasks.check_domain_job)] == [str(due.pk)]
    leased = reload(due).next_check_at
    assert leased is not None
    assert leased > now() + timedelta(minutes=5)


@COMMITTED
def test_the_domains_of_a_cancelled_company_are_not_looked_at(dns):
    owner = make_company("Acme")
    make_domain(owner.tenant, "due.test", next_check_at=now() - timedelta(seconds=5))
    set_columns(owner.tenant, status="cancelled")
    assert system.claim_due_looks(now()) == []


@COMMITTED
def test_a_suspended_company_takes_no_name_and_opens_none_until_it_runs_again(dns, fake_engine):
    owner = make_company("Acme")
    domain = make_domain(owner.tenant, "acme.test", next_check_at=now() - timedelta(seconds=5))
    dns.publish(domain)
    set_columns(owner.tenant, status="suspended")
    with pytest.raises(CompanySuspended):
        check_domain(actor=owner.actor, domain_id=domain.pk)
    page = owner.client.post(reverse("domains:check", args=[domain.pk]))
    assert page.status_code == 403
    assert "suspended" in page.content.decode()
    assert system.claim_due_looks(now()) == []
    assert poke_checks("acme.test") == 1, "mail waits for it"
    run_jobs(*ALL_JOBS)
    assert acts(owner.tenant) == []
    assert (reload(domain).status, reload(domain).is_proven) == ("pending", False)
    set_columns(owner.tenant, status="active")
    assert [ref.domain_id for ref in system.claim_due_looks(now())] == [domain.pk]
    scheduled(domain)
    run_jobs(*ALL_JOBS)
    assert reload(domain).status == "active"


@COMMITTED
def test_a_company_suspended_between_verified_and_active_opens_at_the_first_look_afterwards(dns, fake_engine):
    owner = make_company("Acme")
    domain = make_domain(owner.tenant, "acme.test")
    dns.publish(domain)
    assert scheduled(domain).status == "verified"
    set_columns(owner.tenant, status="suspended")
    run_jobs(*ALL_JOBS)
    assert (reload(domain).status, reload(domain).sync_state) == ("verified", "ready")
    assert mail.outbox == []
    set_columns(owner.tenant, status="active")
    scheduled(domain)
    assert reload(domain).status == "active"


@COMMITTED
def test_an_active_domain_of_a_suspended_company_receives_so_it_is_watched_and_set_up_again(dns, fake_engine):
    owner = make_company("Acme")
    domain = make_domain(owner.tenant, "acme.test", active=True, next_check_at=now() - timedelta(seconds=5))
    set_columns(owner.tenant, status="suspended")
    assert [ref.domain_id for ref in system.claim_due_looks(now())] == [domain.pk]
    for _ in range(3):
        scheduled(domain)
    assert reload(domain).is_degraded
    retry_sync(actor=owner.actor, domain_id=domain.pk)
    run_jobs(tasks.sync_domain_job)
    assert "acme.test" in fake_engine.domains


@COMMITTED
def test_waiting_mail_starts_a_look_once_a_minute(dns, fake_engine):
    first, second = make_company("First"), make_company("Second")
    domain = make_domain(first.tenant, "acme.test")
    make_domain(second.tenant, "acme.test", key=2, last_verified_at=now() - timedelta(seconds=20))
    make_domain(second.tenant, "open.test", active=True)
    assert poke_checks("Acme.test") == 1
    assert poke_checks("acme.test") == 0  # already waits
    assert poke_checks("open.test") == 0
    assert poke_checks("nobody.test") == 0
    dns.publish(domain)
    run_jobs(*ALL_JOBS)
    assert reload(domain).status == "active"
    assert poke_checks("acme.test") == 0


@COMMITTED
def test_claims_of_a_name_name_the_holder_first(dns):
    first, second = make_company("First"), make_company("Second")
    make_domain(first.tenant, "acme.test")
    held = make_domain(second.tenant, "acme.test", key=2, active=True)
    claims = system.claims_of("acme.test")
    assert [claim.proven for claim in claims] == [True, False]
    assert claims[0].domain_id == held.pk


@BOTH
def test_the_look_of_a_domain_deleted_meanwhile_ends_quietly(cast, dns):
    tasks.check_domain_job(str(cast.acme.pk), "00000000-0000-4000-8000-000000000000")
    assert dns.asked == []


@COMMITTED
def test_no_connection_is_held_while_the_dns_is_asked(dns, monkeypatch):
    """A company whose name servers never answer would else keep the pool's ten from everybody."""
    owner, held = make_company("Acme"), []

    def looked(*args):
        held.append([each.alias for each in connections.all(initialized_only=True) if each.connection is not None])
        return dnschecks.check_domain(*args)

    monkeypatch.setattr(looking, "check_domain", looked)
    domain = add_domain(actor=owner.actor, name="acme.test")
    check_domain(actor=owner.actor, domain_id=domain.pk)
    assert owner.client.post(reverse("domains:check", args=[domain.pk])).status_code == 303
    assert held == [[], []]
