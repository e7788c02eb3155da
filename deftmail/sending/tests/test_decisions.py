"""The decisions as tables: every state, every door, one sentence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deftmail.mailproto.addresses import base_address
from deftmail.sending.decisions import (
    OK,
    BlockFact,
    Code,
    Door,
    Recipient,
    Sender,
    Verdict,
    may_receive,
    may_send,
)

ALICE = Sender(
    email="alice@acme.test",
    addresses=frozenset({"alice@acme.test"}),
    status="active",
    status_reason="",
    tenant_status="active",
    domain="acme.test",
    domain_status="active",
    dkim_live=True,
)
DOORS = (Door.SUBMISSION, Door.JMAP, Door.SIEVE)


def ask(door=Door.SUBMISSION, account="alice@acme.test", envelope_from="alice@acme.test", **changes):
    return may_send(door, account, replace(ALICE, **changes), envelope_from)


@pytest.mark.parametrize("door", DOORS)
class TestAtEveryDoor:
    def test_ones_own_address_in_an_active_domain_may_leave(self, door):
        assert ask(door) == OK

    def test_so_may_ones_own_address_with_a_tag(self, door):
        assert ask(door, envelope_from="alice+shop@acme.test") == OK

    def test_nobody_signed_in_is_refused(self, door):
        assert may_send(door, "", None, "alice@acme.test").code is Code.REFUSE

    def test_a_mailbox_that_is_not_there_is_refused(self, door):
        verdict = may_send(door, "gone@acme.test", None, "gone@acme.test")
        assert (verdict.code, verdict.reason) == (Code.REFUSE, "no-mailbox")

    @pytest.mark.parametrize(
        ("changes", "code", "reason", "words"),
        [
            ({"status": "disabled"}, Code.REFUSE, "mailbox-disabled", "disabled"),
            ({"status": "suspended"}, Code.REFUSE, "mailbox-suspended", "Reading and receiving go on"),
            ({"status": "suspended", "status_reason": "spam"}, Code.REFUSE, "mailbox-suspended", "(spam)"),
            ({"status": "a state of the future"}, Code.REFUSE, "mailbox-suspended", "suspended"),
            ({"tenant_status": "suspended"}, Code.REFUSE, "company-not-active", "suspended"),
            ({"tenant_status": "cancelled"}, Code.REFUSE, "company-not-active", "closed"),
            ({"domain_status": "pending"}, Code.LATER, "domain-not-active", "acme.test"),
            ({"domain_status": "verified"}, Code.LATER, "domain-not-active", "acme.test"),
            ({"domain_status": "failed"}, Code.LATER, "domain-not-active", "acme.test"),
            ({"dkim_live": False}, Code.LATER, "dkim-not-live", "signing key"),
        ],
    )
    def test_each_state_has_its_answer(self, door, changes, code, reason, words):
        verdict = ask(door, **changes)
        assert (verdict.code, verdict.reason) == (code, reason)
        assert words in verdict.sentence


class TestTheSender:
    @pytest.mark.parametrize("door", [Door.SUBMISSION, Door.JMAP])
    @pytest.mark.parametrize(
        "envelope_from",
        ["bob@acme.test", "alice@other.test", "alice@acme.test.evil.test", "x+alice@acme.test", "alice", "@acme.test"],
    )
    def test_that_is_not_ones_own_is_refused(self, door, envelope_from):
        assert (ask(door, envelope_from=envelope_from).code, ask(door, envelope_from=envelope_from).reason) == (
            Code.REFUSE,
            "foreign-sender",
        )

    @pytest.mark.parametrize("door", [Door.SUBMISSION, Door.JMAP])
    def test_that_is_empty_is_refused(self, door):
        assert ask(door, envelope_from="").reason == "null-sender"

    @pytest.mark.parametrize("envelope_from", ["", "somebody@outside.example"])
    def test_of_a_sieve_redirect_or_vacation_is_whoever_wrote(self, envelope_from):
        assert ask(Door.SIEVE, envelope_from=envelope_from) == OK


class TestReceiving:
    @pytest.mark.parametrize(
        ("recipient", "code", "reason"),
        [
            (Recipient("elsewhere.example", "unknown"), Code.REFUSE, "not-our-domain"),
            (Recipient("acme.test", "claimed"), Code.LATER, "domain-not-active"),
            (Recipient("acme.test", "claimed", "active", True), Code.LATER, "domain-not-active"),
            (Recipient("acme.test", "active"), Code.OK, ""),
            (Recipient("acme.test", "active", "active", True), Code.OK, ""),
            (Recipient("acme.test", "active", "active", False), Code.LATER, "mailbox-not-ready"),
            (Recipient("acme.test", "active", "suspended", True), Code.OK, ""),
            (Recipient("acme.test", "active", "suspended", True, True), Code.OK, ""),
            (Recipient("acme.test", "active", "disabled", True, False), Code.OK, ""),
            (Recipient("acme.test", "active", "disabled", True, True), Code.REFUSE, "mailbox-disabled"),
        ],
    )
    def test_each_state_has_its_answer(self, recipient, code, reason):
        verdict = may_receive(recipient)
        assert (verdict.code, verdict.reason) == (code, reason)


class TestTheReply:
    def test_is_one_of_two_codes_that_cyrus_passes_on(self):
        assert Verdict(Code.LATER, "x", "Wait").reply == "450 4.7.1 Wait"
        assert Verdict(Code.REFUSE, "x", "No").reply == "550 5.7.1 No"
        assert OK.reply == ""

    def test_names_the_address_to_go_to_which_the_sentence_does_not(self):
        block = BlockFact("company", "spam.", None)
        verdict = ask(block=block, help_url="https://mail.test/sending")
        assert verdict.reply.endswith("spam. Receiving and reading go on. See https://mail.test/sending")
        assert "https" not in verdict.sentence

    @given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=400))
    def test_never_carries_what_somebody_typed_out_of_its_line(self, account, envelope_from, reason):
        verdicts = [
            may_send(Door.JMAP, account or "x", None, envelope_from),
            ask(Door.JMAP, envelope_from=envelope_from),
            ask(Door.JMAP, status="suspended", status_reason=reason),
            may_receive(Recipient(account, "claimed")),
        ]
        for verdict in verdicts:
            assert verdict.reply.isascii()
            assert verdict.reply.isprintable() or not verdict.reply
            assert len(verdict.reply) < 500  # RFC 5321 §4.5.3.1.5: 512 octets with CR LF


@pytest.mark.parametrize(
    ("address", "base"),
    [("a+b@c.d", "a@c.d"), ("a@c.d", "a@c.d"), ("a+b+c@c.d", "a@c.d"), ("", ""), ("a", "a"), ("+x@c.d", "@c.d")],
)
def test_a_tag_is_not_part_of_the_address(address, base):
    assert base_address(address) == base


class TestAFullMailbox:
    box = Recipient("acme.test", "active", mailbox_status="active", mailbox_ready=True)

    @pytest.mark.parametrize(
        ("full_for", "code"),
        [
            (None, Code.OK),
            (timedelta(0), Code.LATER),
            (timedelta(days=6, hours=23), Code.LATER),
            (timedelta(days=7), Code.REFUSE),
            (timedelta(days=400), Code.REFUSE),
            (timedelta(days=-3), Code.LATER),  # the clock went back
        ],
    )
    def test_waits_a_week_and_is_then_refused(self, full_for, code):
        verdict = may_receive(replace(self.box, full_for=full_for))
        assert verdict.code is code
        assert verdict.reply[:9] in ("", "450 4.7.1", "550 5.7.1")

    def test_disabled_with_refusal_is_said_first(self):
        box = replace(self.box, mailbox_status="disabled", refuse_when_disabled=True, full_for=timedelta(1))
        assert may_receive(box).reason == "mailbox-disabled"
