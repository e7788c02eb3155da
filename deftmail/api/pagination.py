"""Cursor paging by key: a page costs the same wherever it lies, and rows added or deleted meanwhile shift nothing."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, TypeVar

from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _
from pydantic import Field

from deftmail.kit.errors import Invalid

Row = TypeVar("Row", bound=Model)
LONGEST = 600
"""Characters of a cursor: the longest address (320 bytes) in base64 is 427."""
Limit = Annotated[int, Field(ge=1, le=200)]
Cursor = Annotated[
    str | None,
    Field(description="`next` of the page before; left out for the first page.", max_length=LONGEST),
]


class CursorInvalid(Invalid):
    """The cursor is not one that a page of this list gave out."""

    code = "cursor-invalid"

    def __init__(self) -> None:
        super().__init__(_("This cursor is not one of ours. Start again without it."), field="cursor")


def page(rows: QuerySet[Row], field: str, *, cursor: str | None, limit: int) -> tuple[list[Row], str | None]:
    """One page of `rows` in the order of `field`, and the cursor of the next page, None on the last.

    field: a text column whose values are unique among `rows`; the cursor is the last value of the page before, so it
    stays good when that row is deleted. Raises CursorInvalid.
    """
    if cursor:
        rows = rows.filter(**{f"{field}__gt": _decode(cursor)})
    found = list(rows.order_by(field)[: limit + 1])
    if len(found) <= limit:
        return found, None
    return found[:limit], _encode(str(getattr(found[limit - 1], field)))


def _encode(value: str) -> str:
    return base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")


def _decode(cursor: str) -> str:
    try:
        value = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise CursorInvalid from None
    if not value.isprintable():  # PostgreSQL text holds no NUL, and nothing we list holds control characters
        raise CursorInvalid
    return value
