"""`deftmail engine setup` and `deftmail engine doctor`: arguments, what is printed, the file the key goes into."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management import CommandError
from django.core.management.base import OutputWrapper
from pydantic import SecretStr

from deftmail.engine.preparation import Prepared, setup_stalwart, troubles

SETUP_HELP = """Take a Stalwart (0.16 or newer) that answers with its administrator to what DeftMail needs.

  deftmail engine setup stalwart --url http://127.0.0.1:8080 --admin admin:password --dry-run
  deftmail engine setup stalwart --url http://127.0.0.1:8080 --admin - --save /etc/deftmail/deftmail.env

It makes the service account and its key, the hook and the webhook to this installation, raises the limit of app
passwords, keeps the default inbound throttles off signed-in people, opens the figures for Prometheus behind a password
and reloads the settings. Safe to repeat: what is as it should be is left alone."""


def add_setup_arguments(parser: ArgumentParser) -> None:
    """The arguments of `setup`."""
    parser.add_argument("engine", choices=("stalwart",))
    parser.add_argument("--url", required=True, help="origin of its HTTP service: http://127.0.0.1:8080")
    parser.add_argument(
        "--admin",
        required=True,
        metavar="USER:PASSWORD",
        help="its administrator; `-` reads the line from stdin",
    )
    parser.add_argument(
        "--callback", default="", metavar="URL",
        help="origin at which Stalwart reaches our web; else DEFTMAIL_STALWART_CALLBACK_URL or DEFTMAIL_BASE_URL",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, change nothing")
    parser.add_argument("--new-key", action="store_true", help="issue another key and take earlier ones back")
    parser.add_argument(
        "--save",
        type=Path,
        metavar="FILE",
        help="write the new settings into this file; else they are shown",
    )


def run_setup(options: Mapping[str, Any], out: OutputWrapper) -> None:
    """Set the engine up and say what was done. Raises EngineError, CommandError."""
    url = str(options["url"]).rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise CommandError("--url must begin with http:// or https://")
    admin = str(options["admin"])
    if admin == "-":
        admin = sys.stdin.readline().rstrip("\r\n")
    if ":" not in admin:
        raise CommandError("--admin must be user:password")
    target: Path | None = options["save"]
    if target is not None and not options["dry_run"]:
        _try_to_write(target)  # before anything is changed: the key is shown once
    prepared = setup_stalwart(
        url, SecretStr(admin), back=options["callback"], dry_run=options["dry_run"], new_key=options["new_key"]
    )
    _tell(prepared, options, out)
    if prepared.settings and target is not None:
        save(target, {name: value.get_secret_value() for name, value in prepared.settings.items()})
        out.write(f"Saved in {target}: {', '.join(prepared.settings)}. Restart web, worker and gate.\n")
    elif prepared.settings and not options["json"]:
        out.write("\nPut these into the environment of web, worker and gate; the key is shown this once:\n")
        for name, value in prepared.settings.items():
            out.write(f"{name}={value.get_secret_value()}\n")


def _tell(prepared: Prepared, options: Mapping[str, Any], out: OutputWrapper) -> None:
    if options["json"]:
        shown = {} if options["save"] else {name: value.get_secret_value() for name, value in prepared.settings.items()}
        report = {"dry_run": options["dry_run"], "steps": prepared.steps, "notes": prepared.notes, "settings": shown}
        out.write(json.dumps(report) + "\n")
        return
    verb = "would do" if options["dry_run"] else "done"
    for step in prepared.steps:
        out.write(f"{verb}: {step}\n")
    if not prepared.steps:
        out.write("Nothing to change.\n")
    for note in prepared.notes:
        out.write(f"note: {note}.\n")
    if not options["dry_run"]:
        out.write("Settings reloaded.\n")


def run_doctor(as_json: bool, out: OutputWrapper) -> bool:
    """Say what is wrong, one line each; True when nothing is."""
    found = list(troubles())
    if as_json:
        out.write(json.dumps({"ok": not found, "troubles": found}) + "\n")
    else:
        out.write("".join(f"{trouble}\n" for trouble in found or ["Nothing is wrong."]))
    return not found


def _try_to_write(target: Path) -> None:
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError as error:
        raise CommandError(f"--save {target}: {error.strerror}") from error


def save(target: Path, values: Mapping[str, str]) -> None:
    """Set these variables in an environment file, each once; other lines, owner and mode are kept."""
    lines = [line for line in target.read_text().splitlines() if line.partition("=")[0].strip() not in values]
    lines += [f"{name}={value}" for name, value in values.items()]
    target.write_text("\n".join(lines) + "\n")
