"""Style of mail bodies: declarations and rules that cannot load, cover or run anything.

An allow-list of properties and token kinds over tinycss2's tokens, which have their escapes resolved:
``ex\\70 ression(`` is a function called ``expression`` here. A declaration holding a URL is dropped whole, because a
background picture tells the sender that the mail was read.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import tinycss2

MAX_ATTRIBUTE = 8_000  # characters of one style attribute
MAX_SHEET = 250_000  # characters of all <style> blocks of a message
MAX_RULES = 3_000
_MAX_NESTING = 6  # brackets inside a value; tinycss2's serialiser recurses, so deeper ones are never serialised

_FUNCTIONS = frozenset({"rgb", "rgba", "hsl", "hsla", "calc"})
_VALUE_TOKENS = frozenset({"whitespace", "ident", "hash", "literal", "number", "percentage", "dimension", "string"})
_SELECTOR_TOKENS = frozenset({"whitespace", "ident", "hash", "literal", "number", "dimension", "string"})
_SELECTOR_FUNCTIONS = frozenset(
    {"not", "is", "where", "nth-child", "nth-last-child", "nth-of-type", "nth-last-of-type", "lang"}
)

# Position, z-index, content, cursor, filter, animation, behavior, variables and what is new are out by not being here.
_PROPERTIES = frozenset(
    """
    aspect-ratio background background-color background-clip background-position background-repeat background-size
    border-collapse border-spacing box-shadow box-sizing caption-side clear color color-scheme display direction
    empty-cells float height hyphens inline-size block-size letter-spacing line-height line-break list-style
    list-style-position list-style-type max-height max-width min-height min-width object-fit object-position
    opacity order orphans overflow overflow-wrap overflow-x overflow-y table-layout tab-size unicode-bidi vertical-align
    visibility white-space widows width word-break word-spacing word-wrap writing-mode zoom
    -webkit-text-size-adjust -ms-text-size-adjust -webkit-font-smoothing
    """.split()  # noqa: SIM905  # a column of fifty quoted names is harder to read
)
_PROPERTY_FAMILIES = re.compile(
    r"(?:align|border|break|column|flex|font|gap|grid|justify|margin|outline|padding|page-break|row-gap|text)"
    r"(?:-[a-z]+)*\Z"
)


def filter_declarations(text: str) -> str:
    """Return what may stay of a ``style`` attribute; empty when nothing does. Never raises."""
    if len(text) > MAX_ATTRIBUTE:
        return ""
    return "; ".join(_declarations(tinycss2.parse_blocks_contents(text, skip_comments=True, skip_whitespace=True)))


def filter_stylesheet(text: str) -> str:
    """Return what may stay of a ``<style>`` block: plain rules, and those inside ``@media``. Never raises.

    The result holds no ``<``, so it cannot end its element.
    """
    rules = tinycss2.parse_stylesheet(text[:MAX_SHEET], skip_comments=True, skip_whitespace=True)
    kept: list[str] = []
    for rule in rules[:MAX_RULES]:
        if rule.type == "qualified-rule":
            kept.extend(_rule(rule))
        elif rule.type == "at-rule" and rule.lower_at_keyword == "media" and rule.content is not None:
            kept.extend(_media(rule))
    return "\n".join(kept)


def _media(rule: Any) -> Iterable[str]:  # Any: tinycss2's nodes carry no useful types
    if not _all_allowed(rule.prelude, _VALUE_TOKENS, frozenset(), blocks=frozenset({"() block"})):
        return
    prelude = tinycss2.serialize(rule.prelude).strip()
    inner = tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True)
    body = [line for nested in inner[:MAX_RULES] if nested.type == "qualified-rule" for line in _rule(nested)]
    if body and prelude and "<" not in prelude:
        yield "@media " + prelude + " {\n" + "\n".join(body) + "\n}"


def _rule(rule: Any) -> Iterable[str]:
    if not _all_allowed(rule.prelude, _SELECTOR_TOKENS, _SELECTOR_FUNCTIONS, blocks=frozenset({"[] block"})):
        return
    selector = tinycss2.serialize(rule.prelude).strip()
    contents = tinycss2.parse_blocks_contents(rule.content, skip_comments=True, skip_whitespace=True)
    body = "; ".join(_declarations(contents))
    if body and selector and len(selector) <= 2_000 and "<" not in selector:
        yield selector + " { " + body + " }"


def _declarations(nodes: Sequence[Any]) -> Iterable[str]:
    for node in nodes:
        if node.type != "declaration" or not _is_known(node.lower_name):
            continue
        if not _all_allowed(node.value, _VALUE_TOKENS, _FUNCTIONS):
            continue
        value = tinycss2.serialize(node.value).strip()
        if value and "<" not in value:
            yield f"{node.lower_name}: {value}{' !important' if node.important else ''}"


def _is_known(name: str) -> bool:
    return name in _PROPERTIES or _PROPERTY_FAMILIES.match(name) is not None


def _all_allowed(
    tokens: Sequence[Any],
    kinds: frozenset[str],
    functions: frozenset[str],
    *,
    blocks: frozenset[str] = frozenset(),
    depth: int = 0,
) -> bool:
    if depth > _MAX_NESTING:
        return False
    for token in tokens:
        if token.type in kinds or token.type == "comment":
            continue
        if token.type == "function" and token.lower_name in functions:
            inner, inner_blocks = token.arguments, blocks | {"() block"}  # calc((1px + 2px) * 3)
        elif token.type in blocks:
            inner, inner_blocks = token.content, blocks
        else:
            return False
        if not _all_allowed(inner, kinds, functions, blocks=inner_blocks, depth=depth + 1):
            return False
    return True
