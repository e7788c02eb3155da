"""The state machine and the schedule, by table. No server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from deftmail.domains.policies import (
    LOOKS_UNTIL_DEGRADED,
    OWNERSHIP_WITHIN,
    Look,
    Standing,
    judge,
    next_scheduled,
)

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
NOTHING = "mmmm"
LETTERS = {"p": "pass", "f": "fail", "m": "missing", "u": "unknown"}


def look(states: str) -> Look:
    """Four letters: MX, SPF, DKIM, DMARC."""
    return Look(dict(zip(("mx", "spf", "dkim", "dmarc"), (LETTERS[letter] for letter in states), strict=True)))


def standing(status="pending", *, proven=False, degraded=False, failing=0, check_from=START) -> Standing:
    return Standing(status, proven, degraded, failing, check_from)


@pytest.mark.parametrize(
    ("status", "proven", "states", "then", "proves"),
    [
        ("pending", False, "mmmm", "pending", False),
        ("pending", False, "ppfp", "pending", False),  # everything but ownership
        ("pending", False, "mmpm", "pending", True),
        ("pending", False, "uupu", "pending", True),
        ("pending", False, "pppp", "verified", True),
        ("pending", True, "pppp", "verified", False),
        ("pending", True, "ppmp", "pending", False),
        ("pending", True, "pppu", "pending", False),  # an unanswered question is no pass
        ("failed", False, "mmmm", "failed", False),
        ("failed", False, "uuuu", "failed", False),
        ("failed", False, "mmpm", "pending", True),
        ("failed", False, "pppp", "verified", True),
        ("verified", True, "mmmm", "verified", False),
        ("active", True, "mmmm", "active", False),
        ("active", True, "uuuu", "active", False),
    ],
)
def test_a_look_moves_a_domain_only_forward(status, proven, states, then, proves):
    age = OWNERSHIP_WITHIN if status == "failed" else timedelta(hours=1)
    verdict = judge(standing(status, proven=proven), look(states), START + age)
    assert (verdict.status, verdict.prove) == (then, proves)


@pytest.mark.parametrize(
    ("age", "proven", "states", "then"),
    [
        (timedelta(days=6, hours=23), False, NOTHING, "pending"),
        (timedelta(days=7), False, NOTHING, "failed"),
        (timedelta(days=7), False, "mmum", "pending"),  # a DNS away says nothing about ownership
        (timedelta(days=30), True, "mmfm", "pending"),  # proven once is proven
    ],
)
def test_a_claim_without_ownership_is_given_up_after_a_week(age, proven, states, then):
    verdict = judge(standing(proven=proven), look(states), START + age)
    assert verdict.status == then
    assert (verdict.next_check_at is None) == (then == "failed")


def test_asking_again_revives_a_failed_claim_with_a_new_schedule():
    now = START + timedelta(days=9)
    verdict = judge(standing("failed"), look(NOTHING), now, asked=True)
    assert verdict.status == "pending"
    assert verdict.check_from == now
    assert verdict.next_check_at == now + timedelta(minutes=1)


def test_a_look_that_nobody_asked_for_does_not_revive():
    verdict = judge(standing("failed"), look(NOTHING), START + timedelta(days=9))
    assert verdict.status == "failed"
    assert verdict.next_check_at is None


def live(*looks: tuple[str, bool], status: str = "active") -> list[tuple[bool, int]]:
    """What several looks in a row make of an active domain: (degraded, failing looks) after each."""
    now, current, seen = START, standing(status, proven=True), []
    for states, asked in looks:
        now += timedelta(minutes=15)
        verdict = judge(current, look(states), now, asked=asked)
        current = standing(status, proven=True, degraded=verdict.degraded, failing=verdict.failing_looks)
        seen.append((verdict.degraded, verdict.failing_looks))
        assert verdict.status == status
    return seen


def test_one_break_is_not_a_break_but_several_looks_in_a_row_are():
    assert live(*[("pmpp", False)] * 4) == [(False, 1), (False, 2), (True, LOOKS_UNTIL_DEGRADED), (True, 3)]


def test_a_good_look_between_starts_the_count_again():
    assert live(("pmpp", False), ("pmpp", False), ("pppp", False), ("pmpp", False))[-1] == (False, 1)


def test_a_dns_that_does_not_answer_neither_counts_nor_forgives():
    assert live(("pmpp", False), ("uuuu", False), ("pmpp", False), ("pmpp", False))[-1] == (True, 3)


def test_clicks_on_one_flake_do_not_count_as_looks_in_a_row():
    assert live(*[("pmpp", True)] * 5)[-1] == (False, 0)


def test_a_good_look_ends_the_degradation():
    assert live(*[("mppp", False)] * 3, ("pppp", True))[-1] == (False, 0)


def test_an_active_domain_is_looked_at_hourly_for_ever_and_sooner_while_it_breaks():
    now = START + timedelta(days=400)
    assert judge(standing("active", proven=True), look("pppp"), now).next_check_at == now + timedelta(hours=1)
    assert judge(standing("active", proven=True), look("mppp"), now).next_check_at == now + timedelta(minutes=15)
    broken = standing("active", proven=True, degraded=True, failing=3)
    assert judge(broken, look("mppp"), now).next_check_at == now + timedelta(hours=1)


def test_the_schedule_is_1_2_5_10_minutes_then_every_15_for_a_day_then_hourly():
    at = START
    seen: list[timedelta] = []
    while len(seen) < 110:
        at = next_scheduled(START, at)
        seen.append(at - START)
    minutes = [int(wait.total_seconds() // 60) for wait in seen]
    assert minutes[:7] == [1, 2, 5, 10, 25, 40, 55]
    within_day = [minute for minute in minutes if minute < 24 * 60]
    assert within_day[-1] == 1435
    assert {b - a for a, b in pairwise(within_day[3:])} == {15}
    later = [minute for minute in minutes if minute >= 24 * 60]
    assert later[0] == 24 * 60
    assert {b - a for a, b in pairwise(later)} == {60}


def test_a_late_worker_does_not_catch_up_on_missed_looks():
    now = START + timedelta(hours=30, minutes=7)
    assert next_scheduled(START, now) == START + timedelta(hours=31)
