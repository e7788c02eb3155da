"""Bodies as their writers meant them, where what the engine tells of them is not that yet."""

from __future__ import annotations

from deftmail.jmap import Email
from deftmail.mailproto.text import joined


def readable(email: Email) -> Email:
    """The message with the soft line breaks of its flowed texts joined."""
    better: dict[str, str] = {}
    for part, text in email.written:
        if part.type == "text/plain" and (whole := joined(text.value, part.content_type)) != text.value:
            better[part.part_id or ""] = whole
    return email.with_texts(better) if better else email
