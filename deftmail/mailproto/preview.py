"""The first words of a message, for a line of a list: fast, and in linear time for any bytes."""

import re
from html import unescape

MAX_PREVIEW = 200  # characters; a line shows a hundred

_LOOKS_LIKE_HTML = re.compile(r"<(?:!|/?[a-z][a-z0-9]*[\s/>])", re.IGNORECASE)
# `[^<>]` stops at the next bracket, so that a thousand open ones are no thousand walks to the end.
_MARKUP = re.compile(r"<!--|<[!?][^<>]*>?|<(/?)([a-z][a-z0-9]*)[^<>]*>?", re.IGNORECASE)
_UNSEEN = frozenset({"head", "style", "script", "title", "template", "noscript", "textarea", "select"})
_INLINE = frozenset({"a", "abbr", "b", "bdi", "big", "cite", "code", "em", "font", "i", "mark", "s", "small", "span"})
_INLINE |= frozenset({"strong", "sub", "sup", "tt", "u", "wbr"})
# With these newsletters push their first words off the line, or fill it up behind them.
_FILLING = re.compile("[\u00ad\u034f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def looks_like_html(preview: str) -> bool:
    """Whether words that ought to be plain begin with a tag. Addresses in brackets (``<https://…>``) are none."""
    return "<" in preview and _LOOKS_LIKE_HTML.search(preview) is not None


def html_preview(html: str) -> str:
    """The first words that a reader would see of an HTML body, in one line; never raises.

    No parser: half a document is enough for it, and it stops where the line is full.
    """
    found: list[str] = []
    length = position = 0
    unseen = ""
    while length < 4 * MAX_PREVIEW and position < len(html):
        mark = _MARKUP.search(html, position)
        start = mark.start() if mark else len(html)
        if not unseen:
            found.append(html[position : min(start, position + 4 * MAX_PREVIEW)])
            length += len(found[-1].strip())
        if mark is None:
            break
        position = mark.end()
        if mark[0] == "<!--":
            end = html.find("-->", position)
            position = len(html) if end < 0 else end + 3
        elif mark[2]:
            name, closing = mark[2].lower(), bool(mark[1])
            if unseen:
                unseen = "" if (closing and name == unseen) or (unseen == "head" and name == "body") else unseen
            elif name in _UNSEEN and not closing:
                unseen = name
            if name not in _INLINE:
                found.append(" ")
    return plain_preview(unescape("".join(found)))


def plain_preview(text: str) -> str:
    """The first words of a plain body, in one line."""
    return " ".join(_FILLING.sub("", text[: 8 * MAX_PREVIEW]).split())[:MAX_PREVIEW]
