"""One suite that every driver of the engine port must pass, run by pytest and by `deftmail engine conformance`."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from deftmail.engine.conformance import domains, mail, mailboxes
from deftmail.engine.conformance.world import World
from deftmail.engine.port import MailEngine

CaseFunction: TypeAlias = Callable[[MailEngine, World], None]


@dataclass(frozen=True, slots=True)
class Case:
    """A named promise of the port. `run` raises AssertionError, or an EngineError nobody expected."""

    name: str
    function: CaseFunction

    def run(self, engine: MailEngine, world: World) -> None:
        """Run the case and take away what it made."""
        with world.cleaned():
            self.function(engine, world)


@dataclass(frozen=True, slots=True)
class Result:
    """How a case went; `problem` is "" when it passed."""

    name: str
    seconds: float
    problem: str


CASES: tuple[Case, ...] = tuple(
    Case(function.__name__.replace("_", "-"), function) for function in (*domains.CASES, *mailboxes.CASES, *mail.CASES)
)


def run_all(engine: MailEngine, world: World, names: Collection[str] = ()) -> Iterator[Result]:
    """Run every case, or those of `names`; one that fails does not stop the others."""
    for case in CASES:
        if names and case.name not in names:
            continue
        started = time.perf_counter()
        problem = ""
        try:
            case.run(engine, world)
        except Exception as error:  # a case may find anything; the report goes on
            where = traceback.extract_tb(error.__traceback__)[-1]
            problem = f"{type(error).__name__}: {error} ({where.name}:{where.lineno})"
        yield Result(case.name, round(time.perf_counter() - started, 3), problem)
