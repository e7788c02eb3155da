"""`deftmail openapi [--check]`: write the API's description, or say whether the committed one is still right."""

from __future__ import annotations

import difflib
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from deftmail.api.document import as_text
from deftmail.api.v1 import api
from deftmail.kit.conf import ROOT

PATH = ROOT / "docs" / "openapi.json"


class Command(BaseCommand):
    help = "Write docs/openapi.json from the code. With --check only compare: fails where they differ."
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django reads a list

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing, fail where the file is out of date")

    def handle(self, *args: Any, **options: Any) -> None:
        text = as_text(api.get_openapi_schema())
        if not options["check"]:
            PATH.write_text(text, encoding="utf-8")
            return
        kept = PATH.read_text(encoding="utf-8") if PATH.exists() else ""
        if kept != text:
            change = difflib.unified_diff(kept.splitlines(), text.splitlines(), "committed", "code", lineterm="", n=1)
            raise CommandError(
                "docs/openapi.json is out of date; run `deftmail openapi`.\n" + "\n".join(list(change)[:60])
            )
