"""`deftmail openapi [--check]`: write the API's description and the list of its problem codes, or compare them."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from deftmail.api.document import as_text
from deftmail.api.glossary import entries
from deftmail.api.v1 import api
from deftmail.kit.conf import ROOT

PATH = ROOT / "docs" / "openapi.json"
GUIDE = ROOT / "docs" / "api.md"
_BEGIN, _END = "<!-- codes -->\n", "<!-- /codes -->"


class Command(BaseCommand):
    help = "Write docs/openapi.json and the codes in docs/api.md. With --check only compare: fails where they differ."
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django reads a list

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing, fail where a file is out of date")

    def handle(self, *args: Any, **options: Any) -> None:
        for path, text in ((PATH, as_text(api.get_openapi_schema())), (GUIDE, _with_codes(GUIDE.read_text("utf-8")))):
            if options["check"]:
                _compare(path, text)
            else:
                path.write_text(text, encoding="utf-8")


def _with_codes(guide: str) -> str:
    """The guide with the table of problem codes as they are now."""
    before, _begin, rest = guide.partition(_BEGIN)
    _old, _end, after = rest.partition(_END)
    rows = "".join(f"| `{each.code}` | {each.status} | {each.meaning} |\n" for each in entries().values())
    return f"{before}{_BEGIN}| code | status | meaning |\n| --- | --- | --- |\n{rows}{_END}{after}"


def _compare(path: Path, text: str) -> None:
    kept = path.read_text(encoding="utf-8") if path.exists() else ""
    if kept != text:
        change = difflib.unified_diff(kept.splitlines(), text.splitlines(), "committed", "code", lineterm="", n=1)
        shown = "\n".join(list(change)[:60])
        raise CommandError(f"docs/{path.name} is out of date; run `deftmail openapi`.\n{shown}")
