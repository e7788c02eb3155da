"""The public health page asks little, however often it is asked."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from deftmail.engine.errors import EngineUnavailable
from deftmail.engine.port import EngineHealth
from deftmail.engine.testing import FakeEngine
from deftmail.ops import health as health_module
from deftmail.ops.health import FRESH, Health


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []

    def slow() -> None:
        found.append("slow")
        time.sleep(0.2)

    def broken() -> None:
        found.append("broken")
        raise RuntimeError("with a secret in it")

    monkeypatch.setattr(health_module, "PARTS", {"slow": slow, "broken": broken})
    return found


def test_many_at_once_ask_each_part_once(asked: list[str]) -> None:
    health, ready = Health(), threading.Barrier(8)

    def come() -> health_module.Report:
        ready.wait()
        return health.report()

    with ThreadPoolExecutor(8) as pool:
        reports = [future.result() for future in [pool.submit(come) for _ in range(8)]]
    assert asked == ["slow", "broken"]
    assert all(report["broken"] == {"ok": False, "error": "RuntimeError"} for report in reports)
    assert all(report["slow"]["ok"] for report in reports)


def test_what_was_found_counts_for_a_second_and_no_longer(asked: list[str]) -> None:
    now = [1000.0]
    health = Health(clock=lambda: now[0])
    health.report()
    now[0] += FRESH - 0.01
    health.report()
    assert len(asked) == 2
    now[0] += 0.02
    health.report()
    assert len(asked) == 4


def test_an_engine_that_says_nothing_is_waited_for_a_moment(
    fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_module, "ENGINE_WITHIN", 0.2)
    goes_on, asked = threading.Event(), []

    def frozen(engine: FakeEngine) -> EngineHealth:
        asked.append(engine)
        goes_on.wait()
        return EngineHealth("fake", "1", {"memory": ""})

    monkeypatch.setattr(FakeEngine, "health", frozen)
    for _ in range(3):
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            health_module.PARTS["engine"]()
        assert time.monotonic() - began < 1
    assert len(asked) == 1, "who came later waited for the first question"
    goes_on.set()
    health_module.PARTS["engine"]()


def test_a_part_of_the_engine_that_is_away_is_named(fake_engine: FakeEngine) -> None:
    health_module.PARTS["engine"]()
    fake_engine.fail(EngineUnavailable("nobody there"))
    with pytest.raises(EngineUnavailable, match="memory"):
        health_module.PARTS["engine"]()
