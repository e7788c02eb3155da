"""The policy service over real sockets: answers, hostile bytes, load."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest
from django.db import OperationalError

from deftmail.gate import freshness, policy
from deftmail.gate.policy import Decider, PolicyServer
from deftmail.gate.policywire import MAX_LINE, encode_request
from deftmail.gate.signedin import SignedIn
from deftmail.sending.decisions import Recipient, Sender, Verdict
from deftmail.sending.limits import ALLOWED, Subject

ALICE = Sender(
    email="alice@acme.test",
    addresses=frozenset({"alice@acme.test"}),
    status="active",
    status_reason="",
    tenant_status="active",
    domain="acme.test",
    domain_status="active",
    dkim_live=True,
    subject=Subject("company", "alice", "acme", (50, 50, 60, 50, 250), frozenset({"acme.test"})),
)


class Facts:
    """What the policy service decides on, in tables."""

    def __init__(self):
        self.senders = {ALICE.email: ALICE}
        self.recipients = {}
        self.error = None
        self.asked = []

    def sender(self, account):
        self.asked.append(account)
        if self.error:
            raise self.error
        return self.senders.get(account)

    def recipient(self, address):
        self.asked.append(address)
        if self.error:
            raise self.error
        domain = address.rpartition("@")[2]
        return self.recipients.get(address, Recipient(domain, "active" if domain == "acme.test" else "unknown"))


class Ledger:
    """Counts nothing, tells what it was asked; answers what the test wants."""

    def __init__(self):
        self.looked = []
        self.charges = []
        self.answer: Verdict | None = ALLOWED
        self.error: Exception | None = None

    async def look(self, subject, recipients, unnamed=0):
        self.looked.append((list(recipients), unnamed))
        return self._answer()

    async def charge(self, subject, recipients, queue_id, *, unnamed=0, followed=True):
        self.charges.append((list(recipients), unnamed, queue_id, followed))
        return self._answer()

    def _answer(self):
        if self.error is not None:
            raise self.error
        return self.answer


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def signed_in():
    return SignedIn()


@pytest.fixture
def followed():
    return []


@pytest.fixture(autouse=True)
def _nothing_is_remembered(monkeypatch):
    """Each question of these tests reads its facts anew."""
    monkeypatch.setattr(freshness, "FRESH", -1.0)


@pytest.fixture
def facts():
    return Facts()


@pytest.fixture
def pokes():
    return []


@pytest.fixture
async def policy_port(facts, pokes, threads, ledger, followed, signed_in):
    server = PolicyServer(
        Decider(threads[0], ledger, source=facts, poke=pokes.append, charged=followed.append, signed_in=signed_in)
    )
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    yield listening.sockets[0].getsockname()[1]
    listening.close()


async def connect(port):
    return await asyncio.open_connection("127.0.0.1", port)


async def talk(port, *sent, answers=1):
    """Send requests on one connection; returns the actions."""
    reader, writer = await connect(port)
    for data in sent:
        writer.write(data)
    actions = []
    for _ in range(answers):
        answer = await asyncio.wait_for(reader.readuntil(b"\n\n"), 10)
        actions.append(answer.decode().removeprefix("action=").strip())
    writer.close()
    return actions


async def ending(reader):
    """What still came before the other side closed; it may reset when bytes of ours were unread."""
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""


def submission(**attributes):
    return encode_request(
        {
            "policy_context": "submission",
            "protocol_state": "RCPT",
            "sasl_username": "alice@acme.test",
            "sender": "alice@acme.test",
            "recipient": "bob@outside.example",
            "instance": "1.2.3",
            "queue_id": "4XyZ0y5r9gz1",
            "recipient_count": "1",
        }
        | attributes
    )


def mx(recipient, **attributes):
    return encode_request({"policy_context": "mx", "protocol_state": "RCPT", "recipient": recipient} | attributes)


class TestPolicyAnswers:
    async def test_what_may_leave_goes_on_to_postfixs_own_rules(self, policy_port):
        assert await talk(policy_port, submission()) == ["DUNNO"]

    @pytest.mark.parametrize("state", ["MAIL", "RCPT", "DATA", "END-OF-MESSAGE"])
    async def test_a_foreign_sender_is_refused_at_every_state(self, policy_port, state):
        (action,) = await talk(policy_port, submission(sender="ceo@other.test", protocol_state=state))
        assert action.startswith("550 5.7.1 alice@acme.test may not send as ceo@other.test")

    @pytest.mark.parametrize("state", ["MAIL", "RCPT", "DATA", "END-OF-MESSAGE"])
    async def test_who_signed_in_with_an_earlier_password_sends_nothing(self, policy_port, facts, signed_in, state):
        facts.senders[ALICE.email] = replace(ALICE, password_hash="new")
        signed_in.note(0xA1, ALICE.email, "old")
        signed_in.note(0xB2, ALICE.email, "new")
        signed_in.note(0xC3, "bob@acme.test", "old")
        said = [
            (await talk(policy_port, submission(instance=f"{pid}.6925.1f.0", protocol_state=state)))[0]
            for pid in ("a1", "b2", "c3", "d4", "", "x")
        ]
        assert said == ["450 4.7.1 The password was changed, please sign in again", *["DUNNO"] * 5]

    async def test_a_sign_in_after_the_facts_were_read_is_no_earlier_password(
        self, policy_port, facts, signed_in, monkeypatch
    ):
        monkeypatch.setattr(freshness, "FRESH", 60.0)
        facts.senders[ALICE.email] = replace(ALICE, password_hash="old")
        assert await talk(policy_port, submission()) == ["DUNNO"]
        facts.senders[ALICE.email] = replace(ALICE, password_hash="new")
        signed_in.note(0x1, ALICE.email, "new")
        assert await talk(policy_port, submission()) == ["DUNNO"]

    @pytest.mark.parametrize("state", ["CONNECT", "EHLO", "VRFY", ""])
    async def test_nothing_is_decided_at_others(self, policy_port, state):
        assert await talk(policy_port, submission(sender="ceo@other.test", protocol_state=state)) == ["DUNNO"]

    async def test_the_mailbox_on_submission_is_the_one_that_signed_in_in_any_spelling(self, policy_port, facts):
        assert await talk(policy_port, submission(sasl_username="Alice@ACME.test", sasl_sender="bob@acme.test")) == [
            "DUNNO"
        ]
        assert facts.asked == ["alice@acme.test"]

    async def test_the_mailbox_on_cyrus_ports_is_what_cyrus_says_never_the_sender(self, policy_port, facts):
        for context in ("jmap", "sieve"):
            attributes = {"policy_context": context, "sasl_username": "", "sasl_sender": "alice@acme.test"}
            attributes["protocol_state"] = "END-OF-MESSAGE"
            assert await talk(policy_port, submission(**attributes)) == ["DUNNO"]
            (action,) = await talk(policy_port, submission(**attributes | {"sasl_sender": ""}))
            assert action == "550 5.7.1 Sign in to send mail here"
        assert set(facts.asked) == {"alice@acme.test"}

    async def test_what_sieve_sends_names_its_mailbox_to_the_signer_once_a_message(self, policy_port):
        attributes = {"policy_context": "sieve", "sasl_username": "", "sasl_sender": "Alice@acme.test", "sender": ""}
        assert await talk(
            policy_port,
            *(submission(**attributes, protocol_state=state) for state in ("RCPT", "RCPT", "DATA", "END-OF-MESSAGE")),
            answers=4,
        ) == ["DUNNO", "DUNNO", "PREPEND X-DeftMail-Account: alice@acme.test", "DUNNO"]

    async def test_nobody_after_auth_is_nobody(self, policy_port):
        (action,) = await talk(
            policy_port, submission(policy_context="jmap", sasl_username="", sasl_sender="<>", protocol_state="DATA")
        )
        assert action.startswith("550 5.7.1 Sign in")

    @pytest.mark.parametrize(
        ("context", "sender", "expected"),
        [
            ("jmap", "", "550 5.7.1 The empty sender"),
            ("jmap", "bob@acme.test", "550 5.7.1 alice@acme.test may not send as bob@acme.test"),
            ("submission", "", "550 5.7.1 The empty sender"),
            ("sieve", "", "DUNNO"),
            ("sieve", "somebody@outside.example", "DUNNO"),
        ],
    )
    async def test_senders_by_door(self, policy_port, context, sender, expected):
        attributes = {"policy_context": context, "sasl_sender": "alice@acme.test", "sender": sender}
        attributes["protocol_state"] = "END-OF-MESSAGE"
        (action,) = await talk(policy_port, submission(**attributes))
        assert action.startswith(expected)

    async def test_mail_for_a_claimed_domain_waits_and_starts_a_look_once(self, policy_port, facts, pokes):
        facts.recipients["alice@new.test"] = Recipient("new.test", "claimed")
        actions = await talk(policy_port, *[mx("Alice@NEW.test")] * 3, answers=3)
        assert all(action.startswith("450 4.7.1 new.test is being set up") for action in actions)
        await asyncio.sleep(0.05)
        assert pokes == ["new.test"]

    async def test_mail_for_domains_of_nobody_here_is_refused(self, policy_port, pokes):
        (action,) = await talk(policy_port, mx("x@elsewhere.example"))
        assert action == "550 5.7.1 We do not receive mail for this domain"
        assert await talk(policy_port, mx("x@elsewhere.example", protocol_state="DATA")) == ["DUNNO"]
        assert pokes == []

    async def test_a_disabled_mailbox_that_refuses(self, policy_port, facts):
        facts.recipients["a@acme.test"] = Recipient("acme.test", "active", "disabled", True, True)
        (action,) = await talk(policy_port, mx("a@acme.test"))
        assert action == "550 5.7.1 This mailbox no longer accepts mail"

    @pytest.mark.parametrize("error", [OperationalError("away"), RuntimeError("a fault of ours")])
    @pytest.mark.parametrize("request_", [submission(), mx("x@acme.test")])
    async def test_not_knowing_is_never_a_yes_and_never_a_no(self, policy_port, facts, error, request_):
        facts.error = error
        assert await talk(policy_port, request_) == ["450 4.7.1 Temporarily unavailable, please try again later"]
        facts.error = None
        assert await talk(policy_port, request_) == ["DUNNO"]

    async def test_a_service_that_does_not_name_itself_is_deferred(self, policy_port):
        (action,) = await talk(policy_port, submission(policy_context="elsewhere"))
        assert action.startswith("450 4.7.1")

    async def test_a_slow_decision_is_deferred(self, policy_port, facts, monkeypatch):
        monkeypatch.setattr(policy, "DECIDE_WITHIN", 0.05)
        facts.sender = lambda _account: __import__("time").sleep(0.4)
        (action,) = await talk(policy_port, submission())
        assert action.startswith("450 4.7.1")


class TestPolicyUnderAttack:
    @pytest.mark.parametrize(
        "data",
        [
            b"\n",
            b"EHLO x\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"\0" * 100 + b"\n",
            b"x" * (MAX_LINE + 1),
            os.urandom(3000) + b"\n",
        ],
        ids=["empty", "smtp", "http", "nul", "long", "random"],
    )
    async def test_garbage_is_closed_without_an_answer(self, policy_port, data):
        reader, writer = await connect(policy_port)
        writer.write(data)
        assert await ending(reader) == b""
        writer.close()
        assert await talk(policy_port, submission()) == ["DUNNO"]

    async def test_ten_megabytes_without_a_newline_are_cut_off(self, policy_port):
        reader, writer = await connect(policy_port)

        async def flood():
            for _ in range(160):
                writer.write(b"x" * 65536)
                await asyncio.wait_for(writer.drain(), 5)
            await reader.readexactly(1)

        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await flood()
        writer.close()
        assert await talk(policy_port, submission()) == ["DUNNO"]

    async def test_half_a_request_is_closed_in_time_and_drops_do_not_extend_it(self, policy_port, monkeypatch):
        monkeypatch.setattr(policy, "REQUEST_WITHIN", 0.3)
        reader, writer = await connect(policy_port)
        started = asyncio.get_running_loop().time()
        closed = asyncio.create_task(ending(reader))
        for byte in b"request=smtpd_access_policy":
            if closed.done():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.03)
        assert await closed == b""
        assert asyncio.get_running_loop().time() - started < 5  # drops for ever would have kept it for ever

    async def test_an_idle_connection_stays_for_the_next_request(self, policy_port, monkeypatch):
        monkeypatch.setattr(policy, "REQUEST_WITHIN", 0.1)
        reader, writer = await connect(policy_port)
        for _ in range(2):
            await asyncio.sleep(0.25)
            writer.write(submission())
            assert await asyncio.wait_for(reader.readuntil(b"\n\n"), 5) == b"action=DUNNO\n\n"
        writer.close()

    async def test_five_hundred_connections_at_once(self, policy_port):
        answers = await asyncio.gather(*(talk(policy_port, submission()) for _ in range(500)))
        assert answers == [["DUNNO"]] * 500

    async def test_more_than_the_bound_are_closed(self, policy_port, monkeypatch):
        monkeypatch.setattr(policy, "CONNECTIONS_AT_MOST", 2)
        kept = [await connect(policy_port) for _ in range(2)]
        await asyncio.sleep(0.05)
        reader, writer = await connect(policy_port)
        assert await ending(reader) == b""
        for each in (*kept, (reader, writer)):
            each[1].close()
        await asyncio.sleep(0.05)
        assert await talk(policy_port, submission()) == ["DUNNO"]
