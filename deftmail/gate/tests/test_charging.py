"""What the policy service asks the counters: recipients collected by message, looked at once, charged once."""

from __future__ import annotations

import pytest
from redis.exceptions import ConnectionError as RedisAway

from deftmail.gate.recipients import Recipients
from deftmail.gate.tests.test_policy_server import (  # noqa: F401 -- fixtures
    ALICE,
    _nothing_is_remembered,
    facts,
    followed,
    ledger,
    pokes,
    policy_port,
    signed_in,
    submission,
    talk,
)
from deftmail.sending.decisions import Code
from deftmail.sending.limits import Decision

QUEUE = "4XyZ0y5r9gz1"
DOORS = ("submission", "jmap", "sieve")
FULL = Decision(Code.LATER, "limit-mailbox_day", "Limit reached: 50 of 50", "mailbox_day", 50, 50)


def message(*recipients, door="submission", count=None, instance="9.9.9"):
    """The questions Postfix asks about one message, in order."""
    common = {
        "policy_context": door,
        "sasl_username": "alice@acme.test" if door == "submission" else "",
        "sasl_sender": "alice@acme.test",
        "instance": instance,
    }
    count = len(recipients) if count is None else count
    only = recipients[0] if len(recipients) == 1 else ""
    return [
        *(submission(**common, recipient=each, queue_id="", recipient_count="0") for each in recipients),
        *(
            submission(**common, recipient=only, recipient_count=str(count), protocol_state=state, queue_id=QUEUE)
            for state in ("DATA", "END-OF-MESSAGE")
        ),
    ]


@pytest.mark.parametrize("door", DOORS)
async def test_every_outside_recipient_is_charged_once_at_the_end(policy_port, ledger, followed, door):  # noqa: F811
    asked = message("a@x.example", "b@y.example", "A@X.example", "bob@acme.test", door=door)
    await talk(policy_port, *asked, answers=len(asked))
    assert ledger.looked == [(["a@x.example", "b@y.example"], 0)]
    assert ledger.charges == [(["a@x.example", "b@y.example"], 0, QUEUE, True)]
    assert followed == [QUEUE]


async def test_a_single_recipient_is_the_one_postfix_names(policy_port, ledger):  # noqa: F811
    await talk(policy_port, message("a@x.example")[-1], answers=1)
    assert ledger.charges == [(["a@x.example"], 0, QUEUE, True)]


async def test_recipients_nobody_heard_of_are_charged_by_number(policy_port, ledger):  # noqa: F811
    await talk(policy_port, message("a@x.example", "b@x.example", count=7)[-1])
    assert ledger.charges == [([], 7, QUEUE, True)]


async def test_recipients_that_postfix_refused_itself_are_not_charged(policy_port, ledger):  # noqa: F811
    asked = message("a@x.example", "b@x.example", "c@x.example", count=2)
    await talk(policy_port, *asked, answers=len(asked))
    assert ledger.charges[0][0] == ["a@x.example", "b@x.example"]


async def test_two_messages_on_one_connection_are_two(policy_port, ledger):  # noqa: F811
    first, second = message("a@x.example", "b@x.example", instance="1"), message("c@x.example", "d@x.example")
    await talk(policy_port, *first, *second, answers=8)
    assert [charge[0] for charge in ledger.charges] == [["a@x.example", "b@x.example"], ["c@x.example", "d@x.example"]]


@pytest.mark.parametrize("door", DOORS)
async def test_a_limit_refuses_at_data_with_its_sentence_never_at_rcpt(policy_port, ledger, followed, door):  # noqa: F811
    ledger.answer = FULL
    asked = message("a@x.example", "b@x.example", door=door)
    answers = await talk(policy_port, *asked, answers=4)
    assert answers == ["DUNNO", "DUNNO", *["450 4.7.1 Limit reached: 50 of 50"] * 2]
    assert followed == []


async def test_while_redis_is_away_mail_waits_and_may_have_been_charged(policy_port, ledger, followed):  # noqa: F811
    ledger.error = RedisAway("away")
    asked = message("a@x.example")
    answers = await talk(policy_port, *asked, answers=3)
    assert answers[1:] == ["450 4.7.1 Temporarily unavailable, please try again later"] * 2
    assert followed == [QUEUE]


async def test_what_is_simulated_is_not_waited_for(policy_port, ledger, followed):  # noqa: F811
    await talk(policy_port, submission(protocol_state="END-OF-MESSAGE", queue_id="sim-1"))
    assert ledger.charges[0][3] is False
    assert followed == []


async def test_a_message_without_a_queue_id_or_a_subject_waits(policy_port, ledger, facts):  # noqa: F811
    from dataclasses import replace

    assert (await talk(policy_port, submission(protocol_state="END-OF-MESSAGE", queue_id="")))[0].startswith("450")
    facts.senders[ALICE.email] = replace(ALICE, subject=None)
    assert (await talk(policy_port, submission(protocol_state="END-OF-MESSAGE")))[0].startswith("450")
    assert ledger.charges == []


@pytest.mark.parametrize("count", ["", "-1", "x", "9" * 30, "²"])
async def test_a_count_that_is_none_is_ignored(policy_port, ledger, count):  # noqa: F811
    await talk(policy_port, submission(protocol_state="END-OF-MESSAGE", recipient_count=count))
    assert ledger.charges == [(["bob@outside.example"], 0, QUEUE, True)]


class TestRecipientsUnderWay:
    def test_memory_is_bounded_and_the_oldest_go_first(self):
        kept = Recipients(at_most=100)
        for number in range(500):
            kept.hear(f"m{number // 10}", f"r{number}@x.example")
        assert len(kept) <= 100
        assert kept.of("m0", "", 10) == ([], 10)
        assert len(kept.of("m49", "", 10)[0]) == 10

    def test_what_is_never_finished_expires(self, clock):
        kept = Recipients(clock)
        kept.hear("old", "a@x.example")
        clock.now += 1801
        kept.hear("new", "b@x.example")
        assert len(kept) == 1

    def test_a_finished_message_is_forgotten(self):
        kept = Recipients()
        kept.hear("m", "a@x.example")
        kept.forget("m")
        kept.forget("m")
        assert len(kept) == 0
