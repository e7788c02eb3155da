"""Types that accept whatever an engine or a hostile message puts into an answer, and never raise.

Null, missing, wrong kind, far too long: each becomes an empty or shortened value, because one broken message must not
break the list it stands in.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

# Lists inside `tuple([…])`: a page reads a thousand of these values, and a generator costs each half as much again.
MAX_TEXT = 10_000  # characters of one header-like value that we keep
MAX_ITEMS = 1_000  # addresses, ids, parts of one list that we keep
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")


def as_text(value: object) -> str:
    return value[:MAX_TEXT] if isinstance(value, str) else ""


def as_line(value: object) -> str:
    """A name or a subject: words of a stranger that stand in a line of ours."""
    if not isinstance(value, str):
        return ""
    return value[:MAX_TEXT] if value.isascii() else _TURNING.sub("", value[:MAX_TEXT])


def straight(text: str) -> str:
    """Without the marks that turn the reading direction of what stands beside them (UAX 9 §2.1-2.4): with one in his
    name a stranger turns his own address into another's. Words that run from right to left need none."""
    return _TURNING.sub("", text)


def as_optional_text(value: object) -> str | None:
    return value[:MAX_TEXT] if isinstance(value, str) else None


def as_count(value: object) -> int:
    """A size or a count: not negative, 0 when it is not a number. JSON true is not a number."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def as_optional_count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def as_flag(value: object) -> bool:
    return value is True


def as_when(value: object) -> datetime | None:
    """A UTC time from RFC 3339 text; None when it is broken (``Date: yesterday``) or out of Python's range."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        when = datetime.fromisoformat(value)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def as_texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple([item[:MAX_TEXT] for item in value[:MAX_ITEMS] if isinstance(item, str)])


def as_keys(value: object) -> frozenset[str]:
    """The keys whose value is true (mailboxIds, keywords)."""
    return frozenset([key for key, on in value.items() if on is True]) if isinstance(value, dict) else frozenset()


def as_objects(value: object) -> list[dict[str, Any]]:
    """The objects of a list, at most ``MAX_ITEMS``; everything else in it is dropped."""
    return [item for item in value[:MAX_ITEMS] if isinstance(item, dict)] if isinstance(value, list) else []


Text = Annotated[str, BeforeValidator(as_text)]
Line = Annotated[str, BeforeValidator(as_line)]
OptionalText = Annotated[str | None, BeforeValidator(as_optional_text)]
Count = Annotated[int, BeforeValidator(as_count)]
Flag = Annotated[bool, BeforeValidator(as_flag)]
When = Annotated[datetime | None, BeforeValidator(as_when)]
Texts = Annotated[tuple[str, ...], BeforeValidator(as_texts)]
Keys = Annotated[frozenset[str], BeforeValidator(as_keys)]


class Model(BaseModel):
    """Base of what we read: unknown members are ignored, values do not change afterwards."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)
