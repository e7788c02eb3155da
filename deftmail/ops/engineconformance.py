"""`deftmail engine conformance`: the engine port's cases, on this installation's engine or on one that is named."""

from __future__ import annotations

import json
from argparse import ArgumentParser
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

Every case makes domains below conformance.test with fresh names and removes them; a service account, a mailbox that
stands for the outside and (with --sink) a route are made for the run and removed at its end. The server must reach
this machine at --listen, where a hook and the delivery events are received.

Exit status: 0 all passed, 1 a case failed or something could not be removed, 2 the server could not be prepared."""


def add_arguments(parser: ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--engine", choices=("cyrus", "stalwart", "fake"), help="default: DEFTMAIL_ENGINE")
    parser.add_argument("--url", help="origin of Stalwart's HTTP service")
    parser.add_argument("--admin", metavar="USER:PASSWORD", help="its administrator (recovery administrator)")
    parser.add_argument("--smtp", metavar="HOST:PORT", help="its submission listener")
    parser.add_argument("--imap", metavar="HOST:PORT", help="its IMAP listener; default: sign-in is tried over HTTP")
    parser.add_argument(
        "--sink",
        metavar="HOST:PORT",
        help="where mail for elsewhere is taken, not a loopback address; opened by this command when nothing listens",
    )
    parser.add_argument("--listen", metavar="HOST", default="127.0.0.1", help="where the server reaches this machine")
    parser.add_argument("--case", action="append", default=[], metavar="NAME", help="only this case; again for more")


def run(options: dict[str, Any], out: OutputWrapper) -> bool:
    """Run the cases; True when all passed and everything was taken away. Raises CommandError and EngineError."""
    unknown = set(options["case"]) - {case.name for case in CASES}
    if unknown:
        raise CommandError(f"No such case: {', '.join(sorted(unknown))}")
    world = _world(options)
    passed = failed = 0
    troubles: list[str] = []
    try:
        for result in run_all(world.engine, world, set(options["case"])):
            passed, failed = passed + (not result.problem), failed + bool(result.problem)
            out.write(_line(result, options["json"]))
            out.flush()
    finally:
        if isinstance(world, SendingWorld):
            troubles = world.finish()
    for trouble in troubles:
        out.write(json.dumps({"left_behind": trouble}) if options["json"] else f"LEFT   {trouble}")
    total = {"engine": world.engine.name, "cases": passed + failed, "passed": passed, "failed": failed}
    out.write(json.dumps(total) if options["json"] else f"{passed} of {passed + failed} cases passed")
    return failed == 0 and not troubles


def _line(result: Result, as_json: bool) -> str:
    if as_json:
        return json.dumps({**asdict(result), "ok": not result.problem})
    return f"{'FAILED' if result.problem else 'ok':6} {result.name} {result.problem}".rstrip()


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
