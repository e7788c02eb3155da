"""What crosses companies and roles, with committed rows: Postfix's views, the doors' reads, the walk of usage."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psycopg
import pytest
from django.db import connections

from deftmail.domains.testing import make_domain
from deftmail.engine.errors import EngineUnavailable
from deftmail.engine.testing import domain_spec, mailbox_spec
from deftmail.mailboxes import tasks
from deftmail.mailboxes.selectors import system
from deftmail.mailboxes.testing import make_mailbox, reload
from deftmail.tenants.models import Tenant
from deftmail.tenants.testing import make_company, set_columns

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "system", "owner"])


@pytest.fixture
def acme(db):
    return make_company("Acme").tenant


@pytest.fixture
def other(db):
    return make_company("Other").tenant


def as_postfix(query):
    """Rows of a query in a connection of Postfix's own role."""
    settings = connections["default"].settings_dict
    # The stack keeps the password of Postfix's role for Postfix alone; a bare PostgreSQL may trust loopback.
    secrets = Path(os.environ.get("DEFTMAIL_VAR", "var")) / "secrets.json"
    password = json.loads(secrets.read_text())["postgres_mta"] if secrets.exists() else None
    with psycopg.connect(
        host=settings["HOST"],
        port=settings["PORT"],
        dbname=settings["NAME"],
        user="deftmail_mta",
        password=password,
    ) as connection:
        return sorted(connection.execute(query).fetchall())


class TestWhatPostfixReads:
    def test_only_active_domains_receive(self, acme, other):
        make_domain(acme, "active.test", active=True)
        make_domain(acme, "proven.test", proven=True)
        make_domain(other, "claimed.test")
        assert as_postfix("SELECT domain FROM mta_domains") == [("active.test",)]

    def test_only_ready_mailboxes_of_active_domains_are_listed_in_any_state(self, acme, other):
        domain = make_domain(acme, "active.test", active=True)
        make_mailbox(domain, "alice")
        make_mailbox(domain, "suspended", status="suspended")
        make_mailbox(domain, "disabled", status="disabled", refuse_when_disabled=True)
        make_mailbox(domain, "unready", ready=False)
        make_mailbox(make_domain(other, "proven.test", proven=True), "early")
        assert as_postfix("SELECT address FROM mta_mailboxes") == [
            ("alice@active.test",),
            ("disabled@active.test",),
            ("suspended@active.test",),
        ]

    def test_everyone_owns_his_own_sender_address_and_no_other(self, acme, other):
        make_mailbox(make_domain(acme, "a.test", active=True), "alice")
        make_mailbox(make_domain(other, "b.test", active=True), "bob", status="suspended")
        assert as_postfix("SELECT address, login FROM mta_sender_logins") == [
            ("alice@a.test", "alice@a.test"),
            ("bob@b.test", "bob@b.test"),
        ]

    def test_there_are_no_aliases_yet(self, acme):
        assert as_postfix("SELECT address, destination FROM mta_aliases") == []

    @pytest.mark.parametrize("query", ["SELECT password_hash FROM mail_users", "SELECT email FROM users"])
    def test_nothing_else_is_open_to_it(self, acme, query):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_postfix(query)


class TestTheDoors:
    def test_an_account_with_the_states_that_decide(self, acme):
        domain = make_domain(acme, "acme.test", active=True)
        mailbox = make_mailbox(domain, "alice", status="suspended", status_reason="spam")
        set_columns(acme, status=Tenant.Status.SUSPENDED)
        account = system.account_by_address("alice@acme.test")
        assert account is not None
        assert (account.mailbox_id, account.tenant_id) == (mailbox.pk, acme.pk)
        assert (account.status, account.tenant_status, account.domain_status) == ("suspended", "suspended", "active")
        assert account.is_ready
        assert account.password_hash not in repr(account)

    @pytest.mark.parametrize("address", ["", "bob@acme.test", "ALICE@acme.test", "alice@acme.test\x7f"])
    def test_nobody_else(self, acme, address):
        make_mailbox(make_domain(acme, "acme.test", active=True), "alice")
        assert system.account_by_address(address) is None

    def test_the_walk_meets_every_ready_mailbox_once(self, acme, other):
        expected = set()
        for tenant in (acme, other):
            domain = make_domain(tenant, active=True)
            expected |= {make_mailbox(domain).pk for _ in range(4)}
            make_mailbox(domain, ready=False)
        batches = list(system.ready_mailboxes(batch=3))
        assert [len(batch) for batch in batches] == [3, 3, 2]
        assert {row[1] for batch in batches for row in batch} == expected


class TestUsage:
    def test_is_read_from_the_engine_for_all_companies(self, acme, other, fake_engine):
        rows = [make_mailbox(make_domain(tenant, active=True)) for tenant in (acme, other)]
        for row in rows:
            fake_engine.apply_domain(domain_spec(row.email.partition("@")[2]))
            fake_engine.apply_mailbox(mailbox_spec(row.email))
            fake_engine.mailboxes[row.email].folders["inbox"].append(b"x" * 3_000_000)
        tasks.refresh_usage()
        assert [reload(row).used_quota_mb for row in rows] == [3, 3]
        assert all(reload(row).used_at for row in rows)

    def test_an_engine_that_is_away_changes_nothing(self, acme, fake_engine):
        row = make_mailbox(make_domain(acme, active=True), used_bytes=5)
        fake_engine.fail(EngineUnavailable("away"), operation="usage")
        tasks.refresh_usage()
        assert reload(row).used_bytes == 5
