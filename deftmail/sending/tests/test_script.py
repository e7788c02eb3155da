"""The script on a real Redis: exact, all or nothing, whatever the clock does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deftmail.kit import ratelimit
from deftmail.sending import counters, script
from deftmail.sending.decisions import Code
from deftmail.sending.limits import LIMITS, MIRRORED, Subject

pytestmark = pytest.mark.servers
NOW = 1_800_000_000  # the first second of an hour
ROOMY = 10_000


def subject(**maxima):
    """Counters of nobody else."""
    most = tuple(maxima.get(limit.name, ROOMY) for limit in LIMITS)
    return Subject(str(uuid4()), str(uuid4()), str(uuid4()), most, frozenset())


@pytest.fixture(autouse=True)
def _filled(monkeypatch):
    ratelimit.client().setnx(script.ALIVE, 1)


def charge(who, count, *, now=NOW, queue_id="", start=0):
    call = script.call(
        who, list(range(start, start + count)), queue_id=queue_id or uuid4().hex, followed=False, now=now
    )
    return script.read(counters.run(call), who, count, "https://x.example/sending")


def look(who, *, now=NOW):
    return {
        meter.name: meter for meter in script.read_meters(counters.run(script.call(who, [], meters=True, now=now)), who)
    }


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_every_limit_of_the_table_refuses_the_next_one_and_says_when_it_frees(limit):
    who = subject(**{limit.name: 7})
    assert charge(who, 4).allowed
    refused = charge(who, 4, start=100)
    assert (refused.code, refused.limit, refused.used, refused.maximum) == (Code.LATER, limit.name, 4, 7)
    assert refused.frees_at == datetime.fromtimestamp(NOW + (limit.full + 1) * limit.step, UTC)
    assert f"4 of 7 {limit.phrase} used, this message needs 4" in refused.sentence
    before = int(refused.frees_at.timestamp()) - 1
    assert not charge(who, 4, now=before, start=200).allowed
    assert charge(who, 4, now=before + 1, start=300).allowed


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_more_than_the_limit_at_once_never_fits_and_nothing_is_charged(limit):
    who = subject(**{limit.name: 7})
    refused = charge(who, 8)
    assert (refused.code, refused.frees_at) == (Code.REFUSE, None)
    assert all(meter.used == 0 for meter in look(who).values())


def test_no_limit_is_charged_when_another_refuses():
    who = subject(mailbox_minute=3)
    assert not charge(who, 4).allowed
    assert {meter.used for meter in look(who).values()} == {0}
    assert charge(who, 3).allowed
    assert {meter.used for meter in look(who).values()} == {3}


@given(
    most=st.integers(1, 40),
    sends=st.lists(st.tuples(st.integers(1, 15), st.integers(-7200, 40_000)), min_size=1, max_size=30),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_never_over_in_any_day_whatever_the_clock_does(most, sends):
    who = subject(mailbox_day=most)
    now, passed = NOW, []
    for count, step in sends:
        now = max(now + step, NOW)
        if charge(who, count, now=now).allowed:
            passed.append((now, count))
    latest = max((at for at, _count in passed), default=NOW)
    for begin, _count in passed:  # each span of a day by the clock as it was at its furthest
        if begin <= latest:
            monotonic, inside = begin, 0
            for at, count in passed:
                monotonic = max(monotonic, at)
                inside += count if begin <= at < begin + 86400 and monotonic < begin + 86400 else 0
            assert inside <= most


def test_a_clock_that_goes_back_frees_nothing_and_locks_nobody_for_ever():
    who = subject(mailbox_day=5)
    assert charge(who, 5, now=NOW + 365 * 86400).allowed
    for back in (0, 3600, 86400):
        assert not charge(who, 1, now=NOW - back).allowed
    refused = charge(who, 1)
    assert refused.frees_at == datetime.fromtimestamp(NOW + 25 * 3600, UTC)


def test_what_lay_in_the_future_ages_from_the_next_charge():
    who = subject(mailbox_day=6)
    assert charge(who, 5, now=NOW + 365 * 86400).allowed
    assert charge(who, 1).allowed
    assert not charge(who, 1, now=NOW + 24 * 3600).allowed
    assert charge(who, 6, now=NOW + 25 * 3600).allowed


def test_one_message_is_charged_once_and_given_back_once():
    who, name = subject(mailbox_day=10), uuid4().hex
    for _ in range(3):
        assert charge(who, 6, queue_id=name).allowed
    assert look(who)["mailbox_day"].used == 6
    assert counters.give_back(name)
    assert not counters.give_back(name)
    assert {meter.used for meter in look(who).values()} == {0}
    assert charge(who, 10).allowed


def test_who_was_never_reached_stays_new_when_it_is_given_back():
    who, name = subject(first_day=3), uuid4().hex
    assert charge(who, 3, queue_id=name).allowed
    counters.give_back(name)
    assert charge(who, 3).allowed
    assert charge(who, 3).allowed  # written to before
    assert not charge(who, 1, start=50).allowed


def test_recipients_without_a_name_count_as_new():
    who = subject(first_day=3)
    call = script.call(who, [], queue_id=uuid4().hex, unnamed=4, followed=False, now=NOW)
    assert script.read(counters.run(call), who, 4, "").limit == "first_day"


def test_whom_it_wrote_to_while_everybody_is_learnt_again_fills_no_limit_of_the_next_day():
    who, client = subject(first_day=5), ratelimit.client()
    client.set(script.LEARNING, 1, ex=60)
    try:
        assert charge(who, 30).allowed
        assert look(who)["first_day"].used == 0, "its person is warned of a limit that stops nobody"
    finally:
        client.delete(script.LEARNING)
    assert charge(who, 5, start=100).allowed, "the day after stops him for the day before"
    assert charge(who, 30).allowed, "they were not learnt"
    assert charge(who, 1, start=200).limit == "first_day"


def test_a_lowered_limit_holds_at_once_and_none_is_unlimited():
    who = subject()
    assert charge(who, 5000).allowed
    assert not charge(replace(who, maxima=(100, *who.maxima[1:])), 1).allowed
    assert charge(replace(who, maxima=(None,) * len(LIMITS)), 20_000).allowed
    assert not charge(replace(who, maxima=(0,) * len(LIMITS)), 1).allowed


def test_a_thousand_in_parallel_pass_exactly_fifty():
    who = subject(mailbox_day=50)
    with ThreadPoolExecutor(16) as pool:
        passed = list(pool.map(lambda number: charge(who, 1, start=number).allowed, range(1000)))
    assert sum(passed) == 50


def test_a_look_charges_nothing():
    who = subject()
    for _ in range(3):
        counters.run(script.call(who, [1, 2, 3], now=NOW))
    assert {meter.used for meter in look(who).values()} == {0}


def test_meters_say_what_is_left_and_when_the_oldest_frees():
    who = subject(mailbox_day=50)
    charge(who, 40)
    charge(who, 5, now=NOW + 7200)
    meter = look(who, now=NOW + 7200)["mailbox_day"]
    assert (meter.used, meter.left, meter.percent) == (45, 5, 90)
    assert meter.frees_at == datetime.fromtimestamp(NOW + 25 * 3600, UTC)


def test_the_mirror_keeps_exactly_the_limits_whose_buckets_are_hours():
    assert {limit.name for limit in MIRRORED} == {"mailbox_day", "first_day", "domain_day"}
