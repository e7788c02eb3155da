"""`.env.example` and `docs/settings.md`, made from the typed settings; `check` fails when they differ."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from deftmail.kit.conf import ROOT, Conf


def rows() -> list[tuple[str, str | None, str]]:
    """(variable, default or None when required, description) of every setting, in the order of the file."""
    result = []
    for name, field in Conf.model_fields.items():
        if not field.description:
            raise ValueError(f"setting {name} has no description")
        default = field.default
        shown: str | None
        if default is PydanticUndefined:
            shown = None
        elif isinstance(default, SecretStr) or default is None:
            shown = ""
        else:
            shown = str(default)
        result.append((f"DEFTMAIL_{name.upper()}", shown, field.description))
    return result


def render() -> dict[Path, str]:
    """The generated files and their text."""
    env = ["# Made by `make fmt` from deftmail/kit/conf.py: change it there.", ""]
    table = [
        "# Settings",
        "",
        "Read from the environment, checked at start. Made from `deftmail/kit/conf.py`.",
        "",
        "| variable | default | meaning |",
        "| --- | --- | --- |",
    ]
    for name, default, description in rows():
        env += [f"# {description}", f"{'' if default is None else '# '}{name}={default or ''}", ""]
        shown = "required" if default is None else f"`{default}`" if default else "empty"
        table.append(f"| `{name}` | {shown} | {description} |")
    return {ROOT / ".env.example": "\n".join(env), ROOT / "docs" / "settings.md": "\n".join(table) + "\n"}


def main() -> int:
    """`--check` compares, otherwise writes."""
    stale = [path for path, text in render().items() if not path.is_file() or path.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is not what the settings say: run `make fmt`\n")
        return 1 if stale else 0
    for path, text in render().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
