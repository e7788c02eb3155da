"""The console's navigation. An entry whose page does not exist in this installation is left out."""

from __future__ import annotations

import functools
from typing import NamedTuple

from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Entry(NamedTuple):
    """section: stable name · label · icon · names: URL names, the first that resolves is the page · keys: shortcut."""

    section: str
    label: str | Promise
    icon: str
    names: tuple[str, ...]
    keys: str


CONSOLE: tuple[Entry, ...] = (
    Entry("overview", _("Overview"), "layout-dashboard", ("web:overview",), "g o"),
    Entry("domains", _("Domains"), "globe", ("domains:list",), "g d"),
    Entry("addresses", _("Addresses"), "at-sign", ("mailboxes:list",), "g a"),
    Entry("people", _("People"), "users", ("tenants:people",), "g p"),
    Entry("sending", _("Sending"), "send", ("sending:meter",), "g s"),
    Entry("logs", _("Logs"), "scroll-text", ("tenants:logs",), "g l"),
    Entry("settings", _("Settings"), "settings", ("tenants:settings",), "g ,"),
)


class Link(NamedTuple):
    """A navigation entry as a template draws it."""

    section: str
    label: str | Promise
    icon: str
    url: str
    keys: str
    current: bool


@functools.cache  # an installation's pages are what they are, and each page asks ten times
def first_url(*names: str) -> str:
    """The address of the first of `names` that exists, or ""."""
    for name in names:
        try:
            return reverse(name)
        except NoReverseMatch:
            continue
    return ""


def console_links(path: str, section: str = "") -> list[Link]:
    """The entries with their addresses; current is `section`, or the longest address that `path` starts with."""
    found = [(entry, url) for entry in CONSOLE if (url := first_url(*entry.names))]
    if not section:
        matching = [(len(url), entry.section) for entry, url in found if path == url or path.startswith(_folder(url))]
        section = max(matching, default=(0, ""))[1]
    return [Link(e.section, e.label, e.icon, url, e.keys, e.section == section) for e, url in found]


def _folder(url: str) -> str:
    return url if url.endswith("/") and url != "/" else url.rstrip("/") + "/" if url != "/" else "\0"
