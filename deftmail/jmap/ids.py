"""Ids that come back from browsers are data: checked for their shape before they go into a request."""

from __future__ import annotations

import re
from collections.abc import Iterable

from deftmail.jmap.errors import InvalidId

# RFC 8620 §1.2: 1 to 255 octets of the URL and filename safe base64 alphabet, without "=".
_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


def check_id(value: object) -> str:
    """``value`` itself when it has the shape of an id.

    Account and identity ids of some engines are addresses; they never come from a browser and are not checked here.

    Raises:
        InvalidId: anything else.
    """
    if not isinstance(value, str) or _ID.fullmatch(value) is None:
        raise InvalidId("not an id")
    return value


def check_ids(values: Iterable[object]) -> list[str]:
    """Each value checked, duplicates dropped, order kept."""
    return list(dict.fromkeys(check_id(value) for value in values))
