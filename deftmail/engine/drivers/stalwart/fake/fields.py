"""Which properties the management objects have and what they take: `fields.txt`, from Stalwart's own schema.

Sets, lists and maps are written as Stalwart wants them (docs of 0.16): a set `{"value": true}`, a list `{"0": …}`,
a variant with its `@type`. What is not in the file is a type nothing here writes, and is taken as it comes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from deftmail.engine.drivers.stalwart.fake.patches import SetRefused

Object = dict[str, Any]
_OUTER = re.compile(r"(set|list|map)<(.*)>(?: min (\d+))?\Z")
_LIMIT = re.compile(r" (min|max)=([\d.-]+)")
_NUMBERS = {"unsignedInteger", "duration", "size"}
_TEXTS = {"string", "text", "secret", "secretText", "uri", "emailAddress", "ipNetwork", "socketAddress", "utcDateTime"}
_ADDRESS = re.compile(r"[^@\s]+@[a-z0-9-]+(\.[a-z0-9-]+)+\Z")


class Shapes:
    """The file, read: properties of each object by name, variants, enumerations."""

    def __init__(self, text: str) -> None:
        self.properties: dict[str, dict[str, str]] = {}
        self.variants: dict[str, dict[str, str]] = {}
        self.enums: dict[str, set[str]] = {}
        name = ""
        for line in text.splitlines():
            if line.startswith("x:"):
                name = line.removeprefix("x:").split(" ")[0]
                self.properties[name], self.variants[name] = {}, {}
            elif line.startswith("enum "):
                kind, _, values = line.removeprefix("enum ").partition(": ")
                self.enums[kind] = set(values.split())
            elif line.startswith("  @"):
                variant, _, target = line.removeprefix("  @").partition(" ")
                self.variants[name][variant] = target
            elif line:
                key, _, type_ = line.strip().partition(": ")
                self.properties[name][key] = type_


@functools.cache
def shapes() -> Shapes:
    return Shapes((Path(__file__).parent / "fields.txt").read_text(encoding="utf-8"))


def check_new(kind: str, new: Object) -> None:
    """Raises SetRefused for an object that has an unknown property, or a value of another shape."""
    _object(kind, new, kind)


def check_patch(kind: str, patch: Object) -> None:
    """As `check_new` for JMAP pointers and their values."""
    if kind in shapes().variants and shapes().variants[kind] and "@type" in patch:
        _object(kind, patch, kind)
        return
    for path, value in patch.items():
        first, *rest = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]
        types = [found for found in _types_of(kind, first) if found]
        if not types and kind in shapes().properties:
            _refuse(path, "Unknown property")
        if any("[immutable]" in one or "[server-set]" in one for one in types):
            _refuse(path, "Cannot modify server set property")
        _any_of([inner for one in types for inner in _along(one, rest)], value, path, removed=bool(rest))


def _types_of(kind: str, name: str) -> Iterator[str]:
    known = shapes()
    for target in [kind, *known.variants.get(kind, {}).values()]:
        if name in known.properties.get(target, {}):
            yield known.properties[target][name]


def _along(type_: str, path: Sequence[str]) -> Iterator[str]:
    """The types a pointer's rest may mean below a type."""
    if not path:
        yield type_
        return
    outer = _OUTER.match(_bare(type_))
    if outer is None:
        for inner in _types_of(_bare(type_), path[0]):
            yield from _along(inner, path[1:])
    elif outer[1] == "set":
        yield "boolean"
    else:
        yield from _along(outer[2].partition(" -> ")[2] if outer[1] == "map" else outer[2], path[1:])


def _any_of(types: Sequence[str], value: Any, where: str, *, removed: bool) -> None:
    if value is None and removed:
        return
    problem: SetRefused | None = None
    for type_ in types:
        try:
            _value(type_, value, where)
        except SetRefused as error:
            problem = error
        else:
            return
    if problem is not None:
        raise problem
    _refuse(where, "Unknown property")


def _object(kind: str, value: Any, where: str) -> None:
    known = shapes()
    if kind not in known.properties:
        return
    if not isinstance(value, dict):
        _refuse(where, f"{kind} is an object")
    named = dict(value)
    if known.variants[kind]:
        variant = named.pop("@type", None)
        if variant not in known.variants[kind]:
            _refuse(where, f"@type of {kind} is none of {', '.join(known.variants[kind])}")
        kind = known.variants[kind][variant]
        if kind not in known.properties:
            if named and not kind:
                _refuse(next(iter(named)), "Unknown property")
            return
    for name, inner in named.items():
        if name not in known.properties[kind]:
            _refuse(name, f"Unknown property of {kind}")
        if "[server-set]" in known.properties[kind][name]:
            _refuse(name, "Cannot modify server set property")
        _value(known.properties[kind][name], inner, name)


def _bare(type_: str) -> str:
    return type_.partition(" [")[0].removesuffix("?")


def _value(type_: str, value: Any, where: str) -> None:
    marked, bare = type_.partition(" [")[0], _bare(type_)
    if value is None and marked.endswith("?"):
        return
    outer = _OUTER.match(bare)
    limits = dict(_LIMIT.findall(bare))
    base = _LIMIT.sub("", bare)
    if outer is not None:
        _many(outer, value, where)
    elif base == "boolean":
        _must(isinstance(value, bool), where, base)
    elif base in _NUMBERS:
        _must(isinstance(value, int) and not isinstance(value, bool) and value >= 0, where, base)
        if "min" in limits and value < float(limits["min"]):
            raise SetRefused("validationFailed", validationErrors=[{"type": "MinValue", "property": where}])
    elif base == "float":
        _must(isinstance(value, (int, float)) and not isinstance(value, bool), where, base)
    elif base in _TEXTS or base.startswith("id of "):
        _must(isinstance(value, str) and value != "", where, base)
        _must(base != "emailAddress" or _ADDRESS.match(value) is not None, where, base)
    elif base.startswith("enum "):
        allowed = shapes().enums.get(base.removeprefix("enum "))
        _must(isinstance(value, str) and (allowed is None or value in allowed), where, base)
    else:
        _object(base, value, where)


def _many(outer: re.Match[str], value: Any, where: str) -> None:
    kind, inner, least = outer.groups()
    _must(isinstance(value, dict), where, f"{kind} as an object")
    if len(value) < int(least or 0):
        raise SetRefused("validationFailed", validationErrors=[{"type": "MinLength", "property": where}])
    if kind == "set":
        for member, on in value.items():
            _must(on is True, where, "set with true for each member")
            _value(inner, member, where)
    elif kind == "list":
        _must(set(value) == {str(place) for place in range(len(value))}, where, "list with its places as names")
        for member in value.values():
            _value(inner, member, where)
    else:
        keys, _, values = inner.partition(" -> ")
        for key, member in value.items():
            _value(keys, key, where)
            _value(values, member, where)


def _must(well: bool, where: str, wanted: str) -> None:
    if not well:
        _refuse(where, f"{where} is no {wanted}")


def _refuse(where: str, why: str) -> None:
    raise SetRefused("invalidPatch", description=why, properties=[where])
