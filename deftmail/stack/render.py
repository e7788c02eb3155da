"""Configuration templates: `@{name}` for a value, `%if name`, `%if !name`, `%else`, `%end` on lines of their own.

Mail servers use `$`, braces and per cent signs themselves, so no common template language fits their files unescaped.
An unknown name is an error: a configuration with a hole must not start.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from deftmail.stack.errors import StackError

TEMPLATES = Path(__file__).parent / "templates"
_NAME = re.compile(r"@\{([a-z0-9_]+)\}")
_SWITCH = re.compile(r"%(if|else|end)(?:\s+(!?)([a-z0-9_]+))?\s*$")


def render(name: str, values: Mapping[str, object]) -> str:
    """The template at `templates/<name>` filled with `values`. Raises StackError naming file and line."""
    return fill((TEMPLATES / name).read_text(encoding="utf-8"), values, name)


def fill(template: str, values: Mapping[str, object], origin: str = "template") -> str:
    """Fill one template text; see the module for its language."""
    lines: list[str] = []
    switches: list[bool] = []
    for number, line in enumerate(template.splitlines(), start=1):
        where = f"{origin}:{number}"
        switch = _SWITCH.match(line)
        if switch is not None:
            _turn(switches, switch, values, where)
        elif all(switches):
            lines.append(_fill_line(line, values, where))
    if switches:
        raise StackError(f"{origin}: %if without %end")
    return "\n".join(lines) + "\n"


def _turn(switches: list[bool], switch: "re.Match[str]", values: Mapping[str, object], where: str) -> None:
    word, negated, flag = switch.groups()
    if word == "if":
        if flag not in values:
            raise StackError(f"{where}: unknown switch {flag}")
        switches.append(bool(values[flag]) != bool(negated))
    elif not switches:
        raise StackError(f"{where}: %{word} without %if")
    elif word == "else":
        switches[-1] = not switches[-1]
    else:
        switches.pop()


def _fill_line(line: str, values: Mapping[str, object], where: str) -> str:
    return _NAME.sub(lambda match: _value(match[1], values, where), line)


def _value(name: str, values: Mapping[str, object], where: str) -> str:
    if name not in values:
        raise StackError(f"{where}: unknown value {name}")
    return str(values[name])
