"""The stack that is measured: `var/bench`, started here and stopped at the end; its data is kept between runs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import redis

from tests.world import DEFTMAIL, ROOT, World, environment

VAR = ROOT / "var" / "bench"


def say(text: str) -> None:
    """A word to whoever watches; standard output holds figures only."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def deftmail(*words: str) -> None:
    """`deftmail …`; what it says goes to standard error."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DEFTMAIL_")}
    subprocess.run([DEFTMAIL, *words], check=True, stdout=sys.stderr, env=environ)


def up() -> float:
    """Start the stack; the seconds until everything answered."""
    started = time.monotonic()
    deftmail("stack", "up", "--var", str(VAR), "--mode", "local", "--no-demo")
    return time.monotonic() - started


def down() -> None:
    """Stop it."""
    deftmail("stack", "down", "--var", str(VAR))


@dataclass
class Stack:
    """The running stack: its environment, and what tests know how to do with one."""

    var: Path = VAR
    world: World = field(init=False)
    env: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.world = World(self.var)
        self.env = environment(self.var)

    def forget_limits(self) -> None:
        """Give the one address and the few keys of the bench a new allowance; counting itself stays in the figure."""
        with redis.Redis.from_url(self.env["DEFTMAIL_REDIS_URL"]) as client:
            keys = list(client.scan_iter("rl:*", count=1000))
            if keys:
                client.delete(*keys)

    def use_here(self) -> None:
        """Let this process be one of the stack's: its settings, its database, its engine."""
        import django

        os.environ.update(self.env)
        os.environ["DJANGO_SETTINGS_MODULE"] = "deftmail.settings"
        django.setup()


@contextlib.contextmanager
def running(*, timed_start: bool) -> Iterator[tuple[Stack, float | None]]:
    """The stack, up for this block, and the seconds its second start took when `timed_start`."""
    seconds = None
    try:
        down()  # one that somebody left running would be measured with the code it started with
        up()
        if timed_start:
            down()
            seconds = up()
        yield Stack(), seconds
    finally:
        down()
