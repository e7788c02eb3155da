"""The console script `deftmail`: `deftmail stack …` for the servers, Django's commands for everything else."""

import os
import sys
from pathlib import Path

from deftmail.stack import cli as stack_cli
from deftmail.stack.site import parse_environment


def load_environment() -> None:
    """Take variables of `<var>/deftmail.env` that are not set already, so that commands work by hand."""
    path = stack_cli.default_var() / "deftmail.env"
    if not path.exists():
        return
    for name, value in parse_environment(path.read_text(encoding="utf-8")).items():
        os.environ.setdefault(name, value)


def needs_no_installation(arguments: list[str]) -> bool:
    """Help, and the test cases on a mail server that the arguments name, work in a checkout where nothing is set up."""
    return bool({"--help", "-h", "help"} & set(arguments)) or arguments[:2] == ["engine", "conformance"]


def main() -> None:
    """Entry point; ends the process with the command's exit status."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["stack"]:
        sys.exit(stack_cli.main(arguments[1:]))
    load_environment()
    # Imported late: `deftmail stack` must work without Django.
    from django.core.management import execute_from_command_line
    from pydantic import ValidationError

    from deftmail.kit.database import DATABASE_AWAY

    bare = "DEFTMAIL_SECRET_KEY" not in os.environ and needs_no_installation(arguments)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deftmail.settings_check" if bare else "deftmail.settings")
    try:
        execute_from_command_line([Path(sys.argv[0]).name, *arguments])
    except DATABASE_AWAY as error:
        if "--traceback" in arguments:
            raise
        sys.exit(f"The database does not answer: {' '.join(str(error).split())}")
    except ValidationError as error:
        if error.title != "Conf":
            raise
        # Never with the values: some are secrets.
        wrong = ", ".join(f"DEFTMAIL_{'.'.join(map(str, one['loc'])).upper()} ({one['msg']})" for one in error.errors())
        sys.exit(f"Settings are missing or wrong: {wrong}. See docs/settings.md; in a checkout `make up` makes them.")
