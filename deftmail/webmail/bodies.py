"""Bodies as their writers meant them, where what the engine tells of them is not that yet."""

from __future__ import annotations

from deftmail.jmap import Email, JmapError, MailAccount
from deftmail.jmap.email import MAX_BODY_VALUE, BodyValue, Part
from deftmail.mailproto.charsets import decode_html, says_nothing
from deftmail.mailproto.text import joined


def readable(email: Email, account: MailAccount | None = None) -> Email:
    """The message with the soft line breaks of its flowed texts joined.

    account: to fetch HTML again that the engine could not read, because no header says its charset
    """
    better: dict[str, str] = {}
    for part, text in email.written:
        whole = text.value
        if part.type == "text/plain":
            whole = joined(text.value, part.content_type)
        elif account is not None and part.type == "text/html" and text.is_encoding_problem:
            whole = _decoded(account, part, text)
        if whole != text.value:
            better[part.part_id or ""] = whole
    return email.with_texts(better) if better else email


def _decoded(account: MailAccount, part: Part, text: BodyValue) -> str:
    if part.blob_id is None or not says_nothing(part.charset):
        return text.value
    try:
        return decode_html(account.download(part.blob_id).head(MAX_BODY_VALUE))
    except JmapError as error:
        if error.temporary:
            raise
        return text.value
