"""A page whose frame is written while somebody else still works on its content.

`{% later %}…{% endlater %}` marks what has to wait. `render_around` writes everything else first and asks for the
answer then; a page made by `render` writes all in place. While an answer is under way the frame costs nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from copy import copy
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template import Context, Node, NodeList
from django.template.base import Parser, Token
from django.template.loader import render_to_string

_NAME = "parts_left_open"


class _Parts:
    """The parts left open in a page, and the context each of them stands in."""

    def __init__(self) -> None:
        self._mark = f"<!-- {secrets.token_hex(16)} -->"  # nothing in the page can spell it
        self._open: list[tuple[NodeList, Context]] = []

    def leave(self, nodes: NodeList, context: Context) -> str:
        self._open.append((nodes, copy(context)))
        return self._mark

    def filled(self, page: str, answer: dict[str, Any]) -> str:
        first, *rest = page.split(self._mark)
        written = [first]
        for (nodes, context), following in zip(self._open, rest, strict=True):
            with context.push(answer):
                written += [nodes.render(context), following]
        return "".join(written)


class LaterNode(Node):
    """`{% later %}`."""

    def __init__(self, nodelist: NodeList) -> None:
        self.nodelist = nodelist

    def render(self, context: Context) -> str:
        """The part, or a mark in its place."""
        parts = context.get(_NAME)
        return parts.leave(self.nodelist, context) if parts else self.nodelist.render(context)


def parse(parser: Parser, _token: Token) -> LaterNode:
    """The tag's compilation function."""
    nodelist = parser.parse(("endlater",))
    parser.delete_first_token()
    return LaterNode(nodelist)


def render_around(
    request: HttpRequest, template: str, frame: dict[str, Any], answer: Callable[[], dict[str, Any]]
) -> HttpResponse:
    """The page of `template`: its frame is written from `frame`, then the parts left for later from `answer()` too."""
    parts = _Parts()
    page = render_to_string(template, {**frame, _NAME: parts}, request)
    return HttpResponse(parts.filled(page, {**answer(), _NAME: None}))
