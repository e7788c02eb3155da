"""Tags that are written when a template is loaded, where they always write the same.

A page says a hundred words of the interface and shows thirty icons. Each is looked up in the template's context,
escaped and joined at every page, to be what it was before.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from django.template import Context, Node
from django.template.base import Parser, TextNode, Token

Compile = Callable[[Parser, Token], Node]

_LITERAL = re.compile(r"""(\w+=)?("[^"]*"|'[^']*')""")


def once(compile_: Compile) -> Compile:
    """A tag's compilation function that writes the tag at once where all its arguments are quoted texts."""

    def compiled(parser: Parser, token: Token) -> Node:
        node = compile_(parser, token)
        if all(_LITERAL.fullmatch(argument) for argument in token.split_contents()[1:]):
            return TextNode(node.render(Context()))
        return node

    return compiled
