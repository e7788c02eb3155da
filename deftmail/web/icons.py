"""Lucide's icons, written inline into the page: no request, and they take the text's colour."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import structlog
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from deftmail.kit.conf import conf

FILE = Path(__file__).parent / "static" / "dist" / "icons.json"
log = structlog.get_logger(__name__)


class UnknownIconError(LookupError):
    """No icon of that name, or the assets were not built (`npm run build`)."""


@lru_cache(maxsize=1)
def _shapes() -> dict[str, str]:
    if not FILE.is_file():
        raise UnknownIconError("icons.json is missing: run `npm ci && npm run build`")
    shapes: dict[str, str] = json.loads(FILE.read_text())
    return shapes


@lru_cache(maxsize=1000)  # a page shows fifty; labels are our own words, so there are few
def icon(name: str, *, css: str = "", label: str = "") -> SafeString:
    """The SVG of lucide's `name`. With `label` it is an image of that name, else hidden from assistive tools.

    Raises UnknownIconError outside production; in production the page goes out without the picture.
    """
    try:
        shape = _shapes()[name]
    except LookupError as missing:
        if not conf.is_production:
            raise UnknownIconError(f"no icon is called {name!r}") from missing
        log.error("icon.unknown", icon=name)
        return SafeString("")
    role = format_html('role="img" aria-label="{}"', label) if label else SafeString('aria-hidden="true"')
    return format_html(
        '<svg class="{}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2"'
        ' stroke-linecap="round" stroke-linejoin="round" {}>{}</svg>',
        f"icon {css}".strip(),
        role,
        mark_safe(shape),  # noqa: S308 – from lucide-static, pinned by the lock file
    )
