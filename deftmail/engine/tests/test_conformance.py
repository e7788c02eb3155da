"""The port's promises, on the engine in memory and on the real one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deftmail.engine.conformance import CASES, Case, Result, run_all
from deftmail.engine.conformance.world import Skipped, World
from deftmail.engine.registry import world_of

ENGINES = [pytest.param("fake"), pytest.param("stalwart-fake"), pytest.param("cyrus", marks=pytest.mark.servers)]


@pytest.fixture(scope="module", params=ENGINES)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = world_of(request.param)
    yield made
    made.engine.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_promise(case: Case, world: World) -> None:
    if not case.runs_in(world):
        pytest.skip("left to the gate and the MTA")
    try:
        case.run(world.engine, world)
    except Skipped as reason:
        pytest.skip(str(reason))


def test_every_case_cleans_up(world: World) -> None:
    left = [domain.name for domain in world.engine.list_domains() if domain.name.endswith(world.suffix)]
    assert left == []
    assert world.left == []


def test_cases_have_names_of_their_own_and_there_are_enough() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 40


def test_a_failing_case_is_reported_and_does_not_stop_the_others() -> None:
    world = world_of("fake")
    world.deliver = lambda address, content: None  # type: ignore[method-assign]  # an engine that loses mail
    results = {result.name: result for result in run_all(world.engine, world)}
    assert len(results) == sum(case.runs_in(world) for case in CASES)
    lost = results["delivered-mail-is-read-by-its-mailbox"]
    assert isinstance(lost, Result)
    assert lost.problem.startswith("AssertionError")
    assert results["domain-applied-twice-is-one"].problem == ""
