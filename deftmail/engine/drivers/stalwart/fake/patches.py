"""Errors of the fake, references between objects of one request, and patches of JMAP pointers."""

from __future__ import annotations

import copy
from typing import Any

Object = dict[str, Any]


class SetRefused(Exception):
    """A set error (RFC 8620 §5.3)."""

    def __init__(self, type_: str, **more: Any) -> None:
        super().__init__(type_)
        self.error: Object = {"type": type_, **more}


class MethodRefused(Exception):
    """A method-level error (RFC 8620 §3.6.2)."""

    def __init__(self, type_: str, **more: Any) -> None:
        super().__init__(type_)
        self.error: Object = {"type": type_, **more}


def resolved(value: Any, created: dict[str, str]) -> Any:
    """`value` with `#reference`s to objects of this request, in members and in the keys of sets."""
    if isinstance(value, dict):
        return {
            (created.get(key[1:], key) if key.startswith("#") else key): (
                created.get(item[1:], item)
                if isinstance(item, str) and item.startswith("#") and key.endswith("Id")
                else resolved(item, created)
            )
            for key, item in value.items()
        }
    return value


def patched(one: Object, patch: Object) -> Object:
    """The object after a patch of JMAP pointers (RFC 8620 §5.3); lists are renumbered after a removal."""
    changed = copy.deepcopy(one)
    for path, value in patch.items():
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]
        if not parents and last not in changed:
            raise SetRefused("invalidPatch", description="Unknown property", properties=[last])
        if parents and parents[0] not in changed:
            raise SetRefused("invalidPatch", description="Unknown property", properties=[parents[0]])
        target = changed
        for part in parents:
            target = target.setdefault(part, {})
        if value is None and parents:
            target.pop(last, None)
            if last.isdigit():
                changed[parents[0]] = {str(place): item for place, item in enumerate(target.values())}
        else:
            target[last] = copy.deepcopy(value)
    return changed
