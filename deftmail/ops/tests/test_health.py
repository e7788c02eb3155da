"""The public health page asks little, however often it is asked."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

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
