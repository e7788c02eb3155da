"""Rules for every template of the product: what the content security policy would refuse is not written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted(path for path in ROOT.glob("*/templates/**/*.html") if "stack" not in path.parts)
PAGES = [path for path in TEMPLATES if "emails" not in path.parts]

# htmx attributes come from {% hx %}, which adds the nonce; the one exception is the body's inherited headers.
HANDWRITTEN = re.compile(r"(?<![\w-])(?:data-)?hx-(?!headers:inherited)[a-z-]+(?::[\w-]+)*\s*=")
INLINE_STYLE = re.compile(r"\sstyle\s*=")
INLINE_SCRIPT = re.compile(r"<script\b(?![^>]*\bsrc=)", re.IGNORECASE)
INLINE_HANDLER = re.compile(r"\son[a-z]+\s*=")
UNSAFE = re.compile(r"\|\s*safe\b|autoescape\s+off")


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PAGES, ids=_id)
def test_pages_hold_nothing_that_the_policy_refuses(path: Path) -> None:
    text = path.read_text()
    for what, pattern in {
        "htmx attribute written by hand (use {% hx %})": HANDWRITTEN,
        "style attribute": INLINE_STYLE,
        "inline script": INLINE_SCRIPT,
        "event handler attribute": INLINE_HANDLER,
        "unescaped output": UNSAFE,
    }.items():
        found = pattern.search(text)
        assert not found, f"{what}: {text[max(found.start() - 40, 0) : found.end() + 40]!r}"


@pytest.mark.parametrize("path", PAGES, ids=_id)
def test_icon_names_exist(path: Path) -> None:
    from deftmail.web.icons import icon

    for name in re.findall(r"""{%\s*icon\s+["']([^"']+)["']""", path.read_text()):
        assert icon(name)
    for name in re.findall(r"""icon=["']([\w-]+)["']""", path.read_text()):
        assert icon(name)


def test_the_patterns_catch_what_they_are_for() -> None:
    assert HANDWRITTEN.search('<a hx-get="/x">')
    assert HANDWRITTEN.search('<a data-hx-on:click="x">')
    assert not HANDWRITTEN.search("<body hx-headers:inherited='{}'>")
    assert INLINE_STYLE.search('<p style="color:red">')
    assert INLINE_SCRIPT.search("<script>alert(1)</script>")
    assert not INLINE_SCRIPT.search('<script nonce="x" src="/a.js"></script>')
    assert INLINE_HANDLER.search('<a onclick="x()">')
    assert UNSAFE.search("{{ body|safe }}")
    assert len(PAGES) > 30
