"""Cursor paging by key: a page costs the same wherever it lies, and rows added meanwhile shift nothing."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Any, TypeVar

from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext as _
from pydantic import Field

from deftmail.kit.errors import Invalid

Row = TypeVar("Row", bound=Model)
Limit = Annotated[int, Field(ge=1, le=200, description="Rows of one page.")]


def page(rows: QuerySet[Row], field: str, *, cursor: str | None, limit: int) -> tuple[list[Row], str | None]:
    """One page of `rows` in the order of (`field`, id), and the cursor of the next. Raises Invalid on a bad cursor."""
    if cursor:
        value, row_id = _decode(cursor)
        try:
            rows = rows.filter(Q(**{f"{field}__gt": value}) | Q(**{field: value, "pk__gt": row_id}))
        except (ValueError, TypeError) as error:
            raise _bad_cursor() from error
    found = list(rows.order_by(field, "pk")[: limit + 1])
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    return found[:limit], _encode(getattr(last, field), last.pk)


def _encode(value: Any, row_id: Any) -> str:
    raw = json.dumps([value.isoformat() if hasattr(value, "isoformat") else str(value), str(row_id)])
    return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[str, str]:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        value, row_id = json.loads(raw)
    except (binascii.Error, ValueError, TypeError) as error:
        raise _bad_cursor() from error
    if not isinstance(value, str) or not isinstance(row_id, str):
        raise _bad_cursor()
    return value, row_id


def _bad_cursor() -> Invalid:
    return Invalid(_("This cursor is not one of ours. Start again without it."), field="cursor")
