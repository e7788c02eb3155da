"""The rows of a conversation list: what they show, and that nothing of a mail is markup in them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import formats, timezone

from deftmail.jmap import Address, ConversationPage, ConversationRow, Folders, Snippet
from deftmail.jmap.search import Segment
from deftmail.web import words
from deftmail.webmail import listing

HOSTILE = """"'><script>alert(1)</script>&amp;"""


def row_of(**values: Any) -> ConversationRow:
    columns: dict[str, Any] = dict.fromkeys(("email_ids", "ids_here", "recipients", "mailbox_ids"), ())
    columns |= dict.fromkeys(("unread", "starred", "has_attachment", "draft", "answered", "forwarded"), False)
    columns |= {
        "thread_id": "T1",
        "email_id": "M1",
        "subject": "Lunch",
        "preview": "On Thursday",
        "received_at": datetime(2020, 11, 3, 14, 5, 9, tzinfo=UTC),
        "senders": (Address("priya@outside.example", "Priya"),),
        "count": 1,
        "snippet": None,
    }
    return ConversationRow(**(columns | values))


def html_of(row: ConversationRow, key: str = "inbox", current: str = "") -> str:
    page = ConversationPage(Folders(()), (row,), 1, 0, "", "")
    request = RequestFactory().get("/mail/f/inbox")
    request.csp_nonce = "n0nce"  # type: ignore[attr-defined]
    rows = listing.rows(page, key, {"me@acme.test"}, {"from": "50"}, current)
    context = Context({"rows": rows, "list_url": "/mail/f/inbox?from=50", "request": request})
    return Template("{% load threads %}{% thread_rows %}").render(context)


def test_a_row_leads_to_its_conversation_with_and_without_htmx():
    html = html_of(row_of(unread=True, count=3), current="T1")
    assert '<article class="thread" data-thread="T1" data-unread aria-current="true">' in html
    assert html.count("/mail/f/inbox/t/T1?from=50") == 2
    assert 'hx-nonce="n0nce" hx-get="/mail/f/inbox/t/T1?from=50" hx-target="#reading"' in html
    assert "3 messages" in html
    assert '<time datetime="2020-11-03T14:05:09+00:00" title="3 November 2020, 14:05:09 UTC">3 Nov 2020</time>' in html
    assert 'aria-pressed="false"' in html


def test_nothing_of_a_mail_is_markup():
    sender = Address("x@outside.example", HOSTILE)
    snippet = Snippet(subject=(Segment(HOSTILE, True),), preview=(Segment(HOSTILE, False),))
    for row in (
        row_of(subject=HOSTILE, preview=HOSTILE, senders=(sender,)),
        row_of(snippet=snippet, senders=(sender,)),
        row_of(draft=True, recipients=(sender,), subject=HOSTILE, email_id=HOSTILE),
    ):
        html = html_of(row)
        assert "<script" not in html
        assert "&lt;script&gt;" in html
        # Every attribute still ends where it should: after taking tags out, no quote of an attribute is left over.
        assert '"' not in re.sub(r'<[a-z/][^<>"]*("[^"]*"[^<>"]*)*>', "", html)


def test_a_lone_draft_opens_in_the_composer():
    html = html_of(row_of(draft=True))
    assert 'href="/mail/compose?draft=M1&amp;next=/mail/f/inbox%3Ffrom%3D50"' in html
    assert 'hx-target="#composer"' in html
    assert "data-open" not in html


def test_marks_show_what_happened_to_a_conversation():
    html = html_of(row_of(answered=True, forwarded=True, has_attachment=True, starred=True))
    for label in ("Answered", "Forwarded", "Has attachments"):
        assert f'aria-label="{label}"' in html
    assert 'value="unstar|M1"' in html
    assert 'aria-label="Answered"' not in html_of(row_of())


def test_what_a_search_found_is_marked():
    html = html_of(row_of(snippet=Snippet(subject=(Segment("Lu", False), Segment("nch", True)), preview=())))
    assert "Lu<mark>nch</mark>" in html


def test_no_rows_write_nothing():
    assert Template("{% load threads %}{% thread_rows %}").render(Context({"rows": []})) == ""


@pytest.mark.parametrize("back", [timedelta(0), timedelta(minutes=1), timedelta(days=1), timedelta(days=400)])
def test_the_clock_of_a_page_says_what_the_words_say(back):
    moment = timezone.now() - back
    local = timezone.localtime(moment)
    clock = words.Clock()
    assert clock.of(moment) == clock.of(moment)
    assert clock.of(moment) == (local.isoformat(), words.short(local), formats.date_format(local, words.EXACT))
