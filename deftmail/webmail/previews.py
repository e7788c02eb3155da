"""The first words of mail that is HTML alone, of which Cyrus gives the source as preview.

Only where a row's preview looks like that are the bodies asked for, once for a page; what was found is remembered in
this process, because a message never changes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace

from deftmail.jmap import ConversationPage, ConversationRow, Email, JmapError, MailAccount, TextPart
from deftmail.mailproto.preview import html_preview, looks_like_html, plain_preview

ENOUGH = 64 * 1024
"""Bytes of a body that are asked for: the head of a newsletter may be half of that."""
KEPT_AT_MOST = 20_000

_kept: OrderedDict[tuple[str, str], str] = OrderedDict()
_lock = threading.Lock()


def readable(account: MailAccount, page: ConversationPage) -> ConversationPage:
    """The page with words where there was source. Where the engine fails now, what it said before is still shown."""
    wanted = [row.email_id for row in page.rows if looks_like_html(row.preview)]
    if not wanted:
        return page
    owner = account.session.account_id
    with _lock:
        known = {id_: _kept[owner, id_] for id_ in wanted if (owner, id_) in _kept}
    missing = [id_ for id_ in wanted if id_ not in known]
    if missing:
        try:
            found = account.text_parts(missing, at_most=ENOUGH)
            read = {id_: _words(parts) for id_, parts in found.items() if parts}
        except JmapError:
            read = {}
        known |= read
        with _lock:
            for id_, words in read.items():
                _kept[owner, id_] = words
            while len(_kept) > KEPT_AT_MOST:
                _kept.popitem(last=False)
    return replace(page, rows=tuple([_with(row, known) for row in page.rows]))


def of(email: Email) -> str:
    """The same for a message that is there with its bodies."""
    return html_preview(email.html or "") if looks_like_html(email.preview) and email.html else email.preview


def _with(row: ConversationRow, known: dict[str, str]) -> ConversationRow:
    return replace(row, preview=known[row.email_id]) if row.email_id in known else row


def _words(parts: Iterable[TextPart]) -> str:
    words = [html_preview(part.value) if part.type == "text/html" else plain_preview(part.value) for part in parts]
    return plain_preview(" ".join(words))
