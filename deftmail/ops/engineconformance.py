"""`deftmail engine conformance`: the engine port's cases, on this installation's engine or on one that is named."""

from __future__ import annotations

import json
import logging
import signal
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from django.core.management import CommandError
from django.core.management.base import OutputWrapper

from deftmail.engine.conformance import CASES, Result, run_all
from deftmail.engine.conformance.sending import SendingWorld
from deftmail.engine.conformance.world import World
from deftmail.engine.registry import stalwart_world, world_of
from deftmail.kit.conf import conf

HELP = """Run the test cases of the engine port against a mail server, one line for each and a total.

Without --url the engine is this installation's (DEFTMAIL_ENGINE). A Stalwart is named by its address; it may be one
fresh from the recipe in docs/stalwart.md:

  deftmail engine conformance --engine stalwart --url http://127.0.0.1:38080 --admin admin:password \\
      --smtp 127.0.0.1:38587 --imap 127.0.0.1:38143 --json

Nothing of an installation is needed for that, neither settings nor databases.

Every case makes domains below conformance.test with fresh names and removes them; a service account, a mailbox that
stands for the outside and (with --sink) a route are made for the run and removed at its end. Hooks that the server has
already are kept off these domains meanwhile. What a killed run left is removed first, so one run at a time. The server
must reach this machine at --listen, where a hook and the delivery events are received. TLS is used where a port offers
it, with any certificate. Half a dozen sign-ins are wrong on purpose: a server that is not on this machine bans an
address after 100 a day, which `x:AllowedIp` prevents.

Without --sink the case of a recipient elsewhere is skipped, and always those of what the engine says it cannot do. A
run takes a minute or two: refusals are made to wait.

With --json a line for each case, {"name", "seconds", "outcome": "passed" | "failed" | "skipped", "ok", "problem",
"skipped"}, then the total, {"engine", "cases", "passed", "failed", "skipped"}.

Exit status: 0 none failed, 1 a case failed or something could not be removed, 2 the server could not be prepared."""


def add_arguments(parser: ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--engine", choices=("cyrus", "stalwart", "fake"), help="default: DEFTMAIL_ENGINE")
    parser.add_argument("--url", help="origin of Stalwart's HTTP service")
    parser.add_argument("--admin", metavar="USER:PASSWORD", help="its administrator (recovery administrator)")
    parser.add_argument("--smtp", metavar="HOST:PORT", help="its submission listener")
    parser.add_argument("--imap", metavar="HOST:PORT", help="its IMAP listener; else sign-in is tried over HTTP")
    parser.add_argument(
        "--sink",
        metavar="HOST:PORT",
        help="where mail for elsewhere is taken, not a loopback address; opened by this command when nothing listens",
    )
    parser.add_argument(
        "--listen",
        metavar="HOST",
        help="where the server reaches this machine; default: the address from which it reaches the server",
    )
    parser.add_argument("--case", action="append", default=[], metavar="NAME", help="only this case; again for more")


def run(options: dict[str, Any], out: OutputWrapper) -> bool:
    """Run the cases; True when all passed and everything was taken away. Raises CommandError and EngineError."""
    unknown = set(options["case"]) - {case.name for case in CASES}
    if unknown:
        raise CommandError(f"No such case: {', '.join(sorted(unknown))}")
    counted: Counter[str] = Counter()
    with _ended_as_by_hand(), _quiet():
        world = _world(options)
        try:
            for result in run_all(world.engine, world, set(options["case"])):
                counted[_outcome(result)] += 1
                out.write(_line(result, options["json"]))
                out.flush()
        finally:
            troubles = world.left + (world.finish() if isinstance(world, SendingWorld) else [])
            for trouble in troubles:
                out.write(json.dumps({"left_behind": trouble}) if options["json"] else f"LEFT    {trouble}")
    cases, passed, skipped = counted.total(), counted["passed"], counted["skipped"]
    total = {"engine": world.engine.name, "cases": cases, "passed": passed, "failed": counted["failed"]}
    if options["json"]:
        out.write(json.dumps({**total, "skipped": skipped}))
    else:
        out.write(f"{passed} of {cases} cases passed" + (f", {skipped} skipped" if skipped else ""))
    return counted["failed"] == 0 and not troubles


@contextmanager
def _quiet() -> Iterator[None]:
    """One line for each case and nothing else: no log line for each of the thousand calls to the engine."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _ended_as_by_hand() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: what was made is taken away."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not the main thread: nobody sends us signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _outcome(result: Result) -> str:
    return "failed" if result.problem else ("skipped" if result.skipped else "passed")


def _line(result: Result, as_json: bool) -> str:
    outcome = _outcome(result)
    if as_json:
        return json.dumps({**asdict(result), "outcome": outcome, "ok": outcome != "failed"})
    word = {"passed": "ok", "failed": "FAILED", "skipped": "skipped"}[outcome]
    return f"{word:7} {result.name} {result.problem or result.skipped}".rstrip()


def _world(options: dict[str, Any]) -> World:
    name = options["engine"] or conf.engine
    if name != "stalwart":
        given = [option for option in ("url", "admin", "smtp", "imap", "sink") if options[option]]
        if given:
            raise CommandError(f"--{given[0]} is for --engine stalwart")
        return world_of(name)
    missing = [f"--{option}" for option in ("url", "admin", "smtp") if not options[option]]
    if missing:
        raise CommandError(f"A Stalwart is named by --url, --admin and --smtp; missing: {', '.join(missing)}")
    if ":" not in options["admin"]:
        raise CommandError("--admin is USER:PASSWORD")
    try:
        return stalwart_world(
            options["url"],
            options["admin"],
            smtp=options["smtp"],
            imap=options["imap"],
            sink=options["sink"],
            listen=options["listen"],
        )
    except ValueError as error:
        raise CommandError(str(error)) from error
