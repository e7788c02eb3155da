"""Two rules of the house that no stock linter knows: the one door to a company's rows, and where `system` is used.

A tenant model's manager (`Domain.objects`) is touched only in `access.py`, `actions.py`, `selectors*`, `hooks.py`,
`tasks.py` and tests of a room, so that no view or API operation can forget the company. The cross-company connection
is used only in `selectors/system.py`. Escape: a comment `# tenant-scope: why` on the line.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from deftmail.kit.conf import ROOT

TENANT_MODELS = frozenset(
    {
        "Tenant",
        "Domain",
        "MailUser",
        "RateLimit",
        "Block",
        "ReviewCase",
        "AuditLog",
        "IdempotencyKey",
        "Membership",
        "ApiKey",
    }
)
_DOORS = frozenset({"access", "actions", "audit", "hooks", "selectors", "tasks", "testing"})
_ESCAPE = "tenant-scope:"


def problems(path: Path, source: str) -> list[str]:
    """The places of one file that break a rule, as `path:line: why`."""
    parts = path.with_suffix("").parts
    if "tests" in parts or "migrations" in parts:
        return []
    is_door = bool(_DOORS & set(parts)) or path.stem in _DOORS
    is_system = parts[-2:] == ("selectors", "system") or path.stem == "testing"
    lines = source.splitlines()
    found = []
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        if line and _ESCAPE in lines[line - 1]:
            continue
        if (
            isinstance(node, ast.Attribute)
            and node.attr == "objects"
            and isinstance(node.value, ast.Name)
            and node.value.id in TENANT_MODELS
            and not is_door
        ):
            found.append(f"{path}:{line}: {node.value.id}.objects outside a door (access, actions, selectors)")
        if isinstance(node, ast.Call) and not is_system and _names_system(node):
            found.append(f"{path}:{line}: the cross-company connection outside selectors/system.py")
    return found


def _names_system(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if name == "using":
        return any(_is_system(argument) for argument in call.args)
    return any(keyword.arg == "using" and _is_system(keyword.value) for keyword in call.keywords)


def _is_system(node: ast.expr) -> bool:
    return (isinstance(node, ast.Constant) and node.value == "system") or (
        isinstance(node, ast.Name) and node.id == "SYSTEM"
    )


def main() -> int:
    """Check every file of the package; 1 when something was found."""
    found: list[str] = []
    for path in sorted((ROOT / "deftmail").rglob("*.py")):
        found += problems(path.relative_to(ROOT), path.read_text())
    sys.stderr.write("".join(line + "\n" for line in found))
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
