"""A figure and its line; the statistics behind it."""

from __future__ import annotations

import gc
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

RATIOS = ("_over_raw", "_vs_roundcube", "_ratio", "_per_mailbox")
"""A figure whose name ends like this has the ratio itself as its value."""


@dataclass(frozen=True)
class Figure:
    """One measured figure. `baseline` is what it is compared with, in the same unit; None where there is nothing."""

    name: str
    value: float
    unit: str
    baseline: float | None = None

    @classmethod
    def ratio_of(cls, name: str, value: float, baseline: float, unit: str) -> Figure:
        """A figure that is a ratio by its name: `value` over `baseline`, both in `unit`."""
        assert name.endswith(RATIOS), name
        return cls(name, value, unit, baseline)

    def line(self) -> str:
        """The JSON line: name, value, unit, baseline, ratio."""
        ratio = self.value / self.baseline if self.baseline else None
        is_ratio = self.name.endswith(RATIOS)
        return json.dumps(
            {
                "name": self.name,
                "value": _rounded(ratio if is_ratio else self.value),
                "unit": "ratio" if is_ratio else self.unit,
                "baseline": _rounded(self.baseline),
                "ratio": _rounded(ratio),
            }
        )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: the smallest value that at least `percent` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(percent / 100 * len(ordered)), 1) - 1]


def median(values: Sequence[float]) -> float:
    """The middle, or the mean of the two in the middle."""
    return statistics.median(values)


def timed(act: Callable[[], object]) -> float:
    """Milliseconds one call takes."""
    started = time.perf_counter()
    act()
    return (time.perf_counter() - started) * 1000


def interleaved(rounds: int, *acts: Callable[[int], object], warm_up: int = 5) -> list[list[float]]:
    """The times of each act over `rounds`, taken in turn: whatever else the machine does falls on all of them alike.

    An act gets the number of its round. The first `warm_up` rounds are not counted.
    """
    times: list[list[float]] = [[] for _ in acts]
    gc.collect()
    gc.disable()
    try:
        for number in range(-warm_up, rounds):
            for act, taken in zip(acts, times, strict=True):
                spent = timed(lambda act=act, number=number: act(number + warm_up))  # type: ignore[misc]
                if number >= 0:
                    taken.append(spent)
    finally:
        gc.enable()
    return times
