"""The rows of a conversation list, written in Python: fifty of them through the template engine cost 12 ms, here one.

The list is the page people wait for most. `{% load threads %}{% thread_rows %}` writes the context's `rows`
(webmail.listing.Row) and answers "" for none; everything that came from a mail is escaped where it is put in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import quote

from django import template
from django.template.context import Context
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from deftmail.web import icons, words
from deftmail.web.templatetags.ui import nonce_of

register = template.Library()
CURRENT = ' aria-current="true"'


@dataclass(frozen=True)
class _Page:
    """What every row of a page says again, escaped."""

    hx: str  # the nonce that hx-csp asks of each htmx element (ui.hx)
    compose: str
    next: str
    draft: str
    unread: str
    star: str
    marks: tuple[tuple[str, str], ...]
    messages: str
    pick: str
    star_it: str
    clock: words.Clock


@register.simple_tag(takes_context=True)
def thread_rows(context: Context) -> SafeString:
    """The rows of `rows`, in the list at `list_url`."""
    rows = context.get("rows") or ()
    if not rows:
        return SafeString("")
    page = _Page(
        hx=f'hx-nonce="{escape(nonce_of(context))}"',
        compose=escape(reverse("webmail:compose")),
        next=escape(quote(str(context.get("list_url", "")))),
        draft=f'<span class="text-bad">{escape(_("Draft"))}</span>',
        unread=f'<span class="sr-only">{escape(_("Unread:"))} </span>',
        star=icons.icon("star"),
        marks=(
            ("answered", icons.icon("reply", label=_("Answered"))),
            ("forwarded", icons.icon("forward", label=_("Forwarded"))),
            ("has_attachment", icons.icon("paperclip", label=_("Has attachments"))),
        ),
        messages=escape(_("%(n)s messages")),
        pick=escape(_("Select %(subject)s from %(who)s")),
        star_it=escape(_("Star %(subject)s")),
        clock=words.Clock(),
    )
    return mark_safe("".join(_row(item, page) for item in rows))  # noqa: S308 – escaped piece by piece below


def _row(item: Any, page: _Page) -> str:
    row = item.row
    thread, subject, who = escape(row.thread_id), escape(item.subject), escape(item.who)
    return (
        f'<article class="thread" data-thread="{thread}"{" data-unread" if row.unread else ""}'
        f"{CURRENT if item.current else ''}>\n"
        f'<label class="thread-check"><input type="checkbox" name="ids" value="{escape(item.ids)}"'
        f' data-focus-key="pick-{thread}" aria-label="{page.pick % {"subject": subject, "who": who}}"></label>\n'
        f'<span class="thread-who">{_who(item, thread, who, page)}</span>\n'
        f'<span class="thread-when">{_when(row.received_at, page) if row.received_at else ""}</span>\n'
        f'<span class="thread-subject"><span class="text">'
        f"{_pieces(item.subject_pieces) if row.snippet else subject}</span>"
        f"{''.join(mark for name, mark in page.marks if getattr(row, name))}</span>\n"
        f'<span class="thread-preview">'
        f"{_pieces(item.preview_pieces) if row.snippet else escape(row.preview)}</span>\n"
        f'<span class="thread-star"><button name="row"'
        f' value="{"unstar" if row.starred else "star"}|{escape(item.all_ids)}"'
        f' aria-pressed="{"true" if row.starred else "false"}" aria-label="{page.star_it % {"subject": subject}}"'
        f' data-row-act="star" data-focus-key="star-{thread}">{page.star}</button></span>\n'
        "</article>"
    )


def _who(item: Any, thread: str, who: str, page: _Page) -> str:
    row = item.row
    if item.draft_only:
        url = f"{page.compose}?draft={escape(quote(row.email_id, safe=''))}"
        return (
            f'<a class="row-link" data-focus-key="row-{thread}" href="{url}&amp;next={page.next}"'
            f' {page.hx} hx-get="{url}" hx-target="#composer">{page.draft} {who}</a>'
        )
    url = escape(item.url)
    link = (
        f'<a class="row-link" data-focus-key="row-{thread}" href="{url}" {page.hx} hx-get="{url}" hx-target="#reading"'
        f' hx-push-url="true" hx-sync="#reading:replace" data-open>{page.unread if row.unread else ""}{who}'
        f"{f', {page.draft}' if row.draft else ''}</a>"
    )
    if row.count > 1:
        link += f' <span class="thread-count" aria-label="{page.messages % {"n": row.count}}">{row.count}</span>'
    return link


def _when(moment: Any, page: _Page) -> str:
    machine, short, exact = page.clock.of(moment)
    return f'<time datetime="{machine}" title="{escape(exact)}">{escape(short)}</time>'


def _pieces(pieces: Iterable[Any]) -> str:
    return "".join(f"<mark>{escape(each.text)}</mark>" if each.marked else escape(each.text) for each in pieces)
