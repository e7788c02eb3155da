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


def main() -> None:
    """Entry point; ends the process with the command's exit status."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["stack"]:
        sys.exit(stack_cli.main(arguments[1:]))
    load_environment()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deftmail.settings")
    # Imported late: `deftmail stack` must work without Django.
    from django.core.management import execute_from_command_line

    execute_from_command_line([Path(sys.argv[0]).name, *arguments])
