"""One suite that every driver of the engine port must pass, run by pytest and by `deftmail engine conformance`."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from deftmail.engine.conformance import domains, mail, mailboxes, refusals, sending, sessions
from deftmail.engine.conformance.sending import SendingWorld
from deftmail.engine.conformance.world import Skipped, World
from deftmail.engine.port import MailEngine

CaseFunction: TypeAlias = Callable[[MailEngine, World], None]
SendingFunction: TypeAlias = Callable[[MailEngine, SendingWorld], None]


@dataclass(frozen=True, slots=True)
class Case:
    """A named promise of the port. `run` raises AssertionError, an EngineError nobody expected, or Skipped."""

    name: str
    function: CaseFunction | SendingFunction
    needs_sending: bool = False

    def runs_in(self, world: World) -> bool:
        """Has this world what the case needs?"""
        return isinstance(world, SendingWorld) or not self.needs_sending

    def run(self, engine: MailEngine, world: World) -> None:
        """Run the case and take away what it made."""
        with world.cleaned():
            self.function(engine, world)  # type: ignore[arg-type]  # runs_in has said so


@dataclass(frozen=True, slots=True)
class Result:
    """How a case went: `problem` says why it failed, `skipped` what it lacked; both are "" when it passed."""

    name: str
    seconds: float
    problem: str
    skipped: str = ""


def _cases(functions: Sequence[CaseFunction | SendingFunction], *, needs_sending: bool = False) -> list[Case]:
    return [Case(function.__name__.replace("_", "-"), function, needs_sending) for function in functions]


CASES: tuple[Case, ...] = (
    *_cases((*domains.CASES, *mailboxes.CASES, *sessions.CASES, *mail.CASES)),
    *_cases((*sending.CASES, *refusals.CASES), needs_sending=True),
)


def run_all(engine: MailEngine, world: World, names: Collection[str] = ()) -> Iterator[Result]:
    """Run every case this world has the means for, or those of `names`; one that fails does not stop the others."""
    for case in CASES:
        if (names and case.name not in names) or not case.runs_in(world):
            continue
        started = time.perf_counter()
        problem = skipped = ""
        try:
            case.run(engine, world)
        except Skipped as error:
            skipped = str(error)
        except Exception as error:  # a case may find anything; the report goes on
            where = traceback.extract_tb(error.__traceback__)[-1]
            problem = f"{type(error).__name__}: {error} ({where.name}:{where.lineno})"
        yield Result(case.name, round(time.perf_counter() - started, 3), problem, skipped)
