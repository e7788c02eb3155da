"""The bench's own promises: the line it prints, the statistics behind it, the names it takes."""

from __future__ import annotations

import argparse
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.__main__ import NAMES, chosen
from bench.company import letter
from bench.figures import Figure, interleaved, median, percentile

KEYS = ["name", "value", "unit", "baseline", "ratio"]


def test_a_line_is_one_json_object_of_the_promised_members():
    line = Figure("gate.login_cached_ms", 1.23456, "ms", 250.0).line()
    assert "\n" not in line
    body = json.loads(line)
    assert list(body) == KEYS
    assert body == {"name": "gate.login_cached_ms", "value": 1.235, "unit": "ms", "baseline": 250.0, "ratio": 0.005}


def test_a_figure_without_a_baseline_has_no_ratio():
    body = json.loads(Figure("stack.second_start_s", 8.0, "s").line())
    assert (body["value"], body["baseline"], body["ratio"]) == (8.0, None, None)


@pytest.mark.parametrize(
    "name", ["webmail.inbox_over_raw", "x_vs_roundcube", "api.growth_ratio", "engine.bytes_per_mailbox"]
)
def test_where_the_name_says_so_the_value_is_the_ratio(name):
    body = json.loads(Figure.ratio_of(name, 30.0, 20.0, "ms").line())
    assert (body["value"], body["ratio"], body["baseline"], body["unit"]) == (1.5, 1.5, 20.0, "ratio")


def test_a_ratio_has_a_name_that_says_so():
    with pytest.raises(AssertionError):
        Figure.ratio_of("api.read_p95_ms", 1.0, 1.0, "ms")


def test_percentiles_are_values_that_were_measured():
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 95), percentile(values, 100), percentile(values, 1)) == (95.0, 100.0, 1.0)
    assert percentile([3.0], 95) == 3.0
    assert percentile([2.0, 1.0], 95) == 2.0


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(1, 100))
def test_a_percentile_leaves_no_more_above_it_than_it_may(values, percent):
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values) - 1e-9


def test_the_median_of_an_even_number_lies_between():
    assert median([1.0, 9.0, 3.0, 5.0]) == 4.0


def test_acts_are_measured_in_turn_and_the_warm_up_is_not_counted():
    calls: list[tuple[str, int]] = []
    times = interleaved(
        2, lambda number: calls.append(("a", number)), lambda number: calls.append(("b", number)), warm_up=1
    )
    assert calls == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert [len(each) for each in times] == [2, 2]


def test_names_choose_figures_and_none_chooses_all():
    assert chosen("") == frozenset(NAMES)
    assert chosen("api.growth_ratio, stack.second_start_s") == {"api.growth_ratio", "stack.second_start_s"}
    with pytest.raises(argparse.ArgumentTypeError, match=r"no such figure: api\.nonsense"):
        chosen("api.nonsense,api.growth_ratio")


def test_the_issues_figures_are_all_there():
    assert set(NAMES) >= {
        "webmail.inbox_over_raw",
        "api.read_p95_ms",
        "api.growth_ratio",
        "gate.login_cached_ms",
        "gate.login_uncached_ms",
        "stack.second_start_s",
        "engine.stalwart_bulk_s",
        "engine.stalwart_requests_per_mailbox",
    }


def test_the_letters_are_the_same_in_every_run_and_hang_together():
    first, again = letter(7, "anna@acme.test"), letter(7, "anna@acme.test")
    assert first[1] == again[1]
    assert first[0].split(b"\r\n\r\n")[0].split(b"boundary")[0] == again[0].split(b"\r\n\r\n")[0].split(b"boundary")[0]
    assert b"\n" not in first[0].replace(b"\r\n", b""), "network line ends"
    replies = [
        raw for raw, _date in (letter(number, "anna@acme.test") for number in range(60)) if b"In-Reply-To" in raw
    ]
    assert len(replies) > 10
