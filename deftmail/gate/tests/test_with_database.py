"""The gate on a real database with committed rows: what doors read, and a database that goes away and comes back."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connections
from django.utils.timezone import now

from deftmail.domains.tasks import check_domain_job
from deftmail.domains.testing import make_domain
from deftmail.gate.database import Threads, on_connection
from deftmail.gate.limiter import Limiter
from deftmail.gate.passwords import Outcome, PasswordChecker
from deftmail.gate.policy import Decider
from deftmail.gate.saslwire import Question
from deftmail.kit import ratelimit
from deftmail.kit.database import NoAnswer
from deftmail.kit.testing import GOOD_PASSWORD, waiting_jobs
from deftmail.mailboxes.selectors import system
from deftmail.mailboxes.testing import make_mailbox, reload
from deftmail.sending import decisions, facts
from deftmail.tenants.models import Tenant
from deftmail.tenants.testing import make_company, set_columns

MIB = 1024 * 1024
pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "system", "owner"])


class SignerKeys:
    """The two hashes of Redis that rspamd signs from."""

    def __init__(self):
        self.hashes: dict[str, dict[str, bytes]] = {"DKIM_KEYS": {}, "DKIM_SELECTORS": {}}
        self.waiting: list[object] = []

    def install(self, domain, selector="default"):
        self.hashes["DKIM_KEYS"][f"{selector}.{domain}"] = b"PEM"
        self.hashes["DKIM_SELECTORS"][domain] = selector.encode()

    def pipeline(self, *, transaction):
        return self

    def hget(self, name, key):
        self.waiting.append(self.hashes[name].get(key))

    def hexists(self, name, key):
        self.waiting.append(key in self.hashes[name])
        return key in self.hashes[name]

    def execute(self):
        answers, self.waiting = self.waiting, []
        return answers


@pytest.fixture
def keys(monkeypatch):
    made = SignerKeys()
    monkeypatch.setattr(ratelimit, "client", lambda: made)
    return made


@pytest.fixture
def acme(db):
    return make_company("Acme").tenant


@pytest.fixture
def domain(acme):
    return make_domain(acme, "acme.test", active=True)


def sender_of(address):
    found = facts.sender(address)
    assert found is not None
    return found


class TestWhoSends:
    def test_an_active_mailbox_with_its_key_in_the_signer(self, domain, keys):
        make_mailbox(domain, "alice")
        keys.install("acme.test")
        sender = sender_of("alice@acme.test")
        assert decisions.may_send(decisions.Door.JMAP, sender.email, sender, sender.email).allowed

    def test_without_the_key_it_waits(self, domain, keys):
        make_mailbox(domain, "alice")
        assert not sender_of("alice@acme.test").dkim_live
        keys.hashes["DKIM_SELECTORS"]["acme.test"] = b"default"
        assert not sender_of("alice@acme.test").dkim_live

    def test_in_the_middle_of_a_rotation_the_signers_own_selector_counts(self, domain, keys):
        make_mailbox(domain, "alice")
        keys.install("acme.test", "dm202611")
        assert sender_of("alice@acme.test").dkim_live

    def test_states_are_read_as_they_are(self, acme, domain, keys):
        make_mailbox(domain, "alice", status="suspended", status_reason="spam")
        set_columns(acme, status=Tenant.Status.CANCELLED)
        sender = sender_of("alice@acme.test")
        assert (sender.status, sender.status_reason, sender.tenant_status) == ("suspended", "spam", "cancelled")
        assert sender.addresses == {"alice@acme.test"}

    def test_nobody(self, domain, keys):
        assert facts.sender("bob@acme.test") is None


class TestWhoReceives:
    @pytest.mark.parametrize(
        ("address", "state", "status"),
        [
            ("alice@acme.test", "active", "active"),
            ("alice+news@acme.test", "active", "active"),
            ("nobody@acme.test", "active", None),
            ("alice@claimed.test", "claimed", None),
            ("alice@elsewhere.example", "unknown", None),
            ("nonsense", "unknown", None),
            ("", "unknown", None),
        ],
    )
    def test_an_address(self, acme, domain, address, state, status):
        make_mailbox(domain, "alice")
        make_domain(acme, "claimed.test")
        found = facts.recipient(address)
        assert (found.domain_state, found.mailbox_status) == (state, status)

    def test_a_name_that_two_claim_is_active_when_one_of_them_is(self, acme, domain):
        make_domain(make_company("Other").tenant, "acme.test")
        assert facts.recipient("x@acme.test").domain_state == "active"

    async def test_mail_for_a_claimed_domain_starts_the_real_look(self, acme):
        await sync_to_async(make_domain)(acme, "claimed.test", check_from="2026-01-01T00:00Z")
        readers = Threads("test", 2, 10)
        decider = Decider(readers, Limiter(lambda: readers.run(lambda: None)))
        verdict = await decider.decide(
            {"policy_context": "mx", "protocol_state": "RCPT", "recipient": "alice@claimed.test"}
        )
        assert verdict.reason == "domain-not-active"
        await asyncio.gather(*decider._poking)
        assert await sync_to_async(lambda: len(waiting_jobs(check_domain_job)))() == 1
        readers.close()
        await sync_to_async(connections.close_all)()


async def test_a_sign_in_from_the_socket_to_the_row(acme, domain, monkeypatch):
    mailbox = await sync_to_async(make_mailbox)(domain, "alice")
    readers, hashers = Threads("r", 2, 10), Threads("h", 2, 10)
    checker = PasswordChecker(readers, hashers)
    assert await checker.check(Question("alice", GOOD_PASSWORD, "imap", "acme.test")) is Outcome.RIGHT
    await checker.settle()
    row = await sync_to_async(reload)(mailbox)
    assert row.last_login_at is not None
    assert await checker.check(Question("alice", "wrong", "imap", "acme.test")) is Outcome.WRONG
    for each in (readers, hashers):
        each.close()
    await sync_to_async(connections.close_all)()


class TestAFullMailbox:
    def test_is_full_as_long_as_its_row_says(self, domain):
        box = make_mailbox(domain, "full", quota_mb=1, used_bytes=MIB, full_since=now() - timedelta(days=2))
        found = facts.recipient(box.email)
        assert found.full_for is not None
        assert 2 <= found.full_for / timedelta(days=1) < 2.1
        assert decisions.may_receive(found).reply.startswith("450 4.7.1 This mailbox is full")

    def test_is_not_full_with_room_whatever_the_row_remembers(self, domain):
        box = make_mailbox(domain, "room", quota_mb=2, used_bytes=MIB, full_since=now() - timedelta(days=9))
        assert facts.recipient(box.email).full_for is None

    def test_seen_full_first_at_the_door_the_week_begins_there(self, domain):
        box = make_mailbox(domain, "shrunk", quota_mb=1, used_bytes=2 * MIB)
        assert facts.recipient(box.email).full_for == timedelta(0)
        assert reload(box).full_since is not None


class TestADatabaseThatWasRestarted:
    def test_is_asked_again_and_answers(self, domain):
        make_mailbox(domain, "alice")
        tries = []

        def read():
            tries.append(1)
            if len(tries) == 1:
                with connections["system"].cursor() as cursor:
                    cursor.execute("select pg_terminate_backend(pg_backend_pid())")
            return system.account_by_address("alice@acme.test")

        found = on_connection(read)
        assert found is not None
        assert found.email == "alice@acme.test"
        assert len(tries) == 2

    def test_that_stays_away_is_reported_as_such(self):
        def read():
            raise OperationalError("still starting")

        with pytest.raises(OperationalError):
            on_connection(read)

    def test_leaves_no_connection_behind(self, domain):
        on_connection(lambda: system.account_by_address("x@acme.test"))
        assert connections["system"].connection is None

    def test_that_says_nothing_is_asked_once(self):
        """The wait was the bound already; a second one would outlast Postfix's patience."""
        tries = []

        def read():
            tries.append(1)
            raise OperationalError("no answer within 3 s") from NoAnswer("no answer within 3 s")

        with pytest.raises(OperationalError):
            on_connection(read)
        assert len(tries) == 1
