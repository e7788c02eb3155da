"""`python -m bench [NAME,NAME…]`: measure, print one JSON line per figure, leave nothing running."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from types import ModuleType

from bench import api, gate, policy, stalwart, webmail
from bench.figures import Figure
from bench.stack import running

START = "stack.second_start_s"
ROOMS: tuple[ModuleType, ...] = (webmail, api, gate, policy, stalwart)
NAMES = (*(name for room in ROOMS for name in room.NAMES), START)


def chosen(text: str) -> frozenset[str]:
    """The figures that `text` names ("a,b"); all of them for "". Raises ArgumentTypeError for a name nobody has."""
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    if unknown := names - set(NAMES):
        raise argparse.ArgumentTypeError(f"no such figure: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    return names or frozenset(NAMES)


def main(argv: Sequence[str]) -> int:
    """Measure what is asked for. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="?", default="", type=chosen, help="figures, comma separated; default all")
    wanted: frozenset[str] = parser.parse_args(argv).names
    # Ctrl-C and TERM both unwind, so that what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with running(timed_start=START in wanted) as (stack, seconds):
        if seconds is not None:
            print(Figure(START, seconds, "s").line(), flush=True)
        stack.use_here()
        for room in ROOMS:
            if wanted & set(room.NAMES):
                for figure in room.measure(stack, wanted):
                    print(figure.line(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
