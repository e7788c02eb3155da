"""DeftMail's interface components as template tags: `{% load ui %}`. The style guide at /dev/ui shows each one."""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from django import template
from django.contrib.messages.storage.base import Message
from django.core.paginator import Page
from django.forms import BaseForm, BoundField
from django.template.context import Context
from django.templatetags.static import static
from django.utils import formats, timezone
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from deftmail.kit import htmx, later, sizes
from deftmail.kit.htmx import Toast
from deftmail.web import icons, nav, states, words
from deftmail.web.once import once

register = template.Library()
register.tag("later", later.parse)
Text = str | Promise
DIST = Path(__file__).parents[1] / "static" / "dist"


# --- htmx and assets ---


@register.simple_tag(takes_context=True)
def hx(context: Context, **attributes: Any) -> SafeString:
    """htmx attributes with the nonce that hx-csp asks for: `<a href=… {% hx get=url target="#list" %}>`.

    An underscore becomes a dash (`push_url` → `hx-push-url`); None leaves an attribute out; a dict is written as JSON.
    """
    pairs = [("nonce", nonce_of(context))]
    for name, value in attributes.items():
        if value is None:
            continue
        if value is True or value is False:
            value = "true" if value else "false"
        pairs.append((name.replace("_", "-"), json.dumps(value) if isinstance(value, dict) else value))
    return format_html_join(" ", 'hx-{}="{}"', pairs)


def nonce_of(context: Context) -> str:
    """The nonce of this answer's policy."""
    request = context.get("request")
    return str(getattr(request, "csp_nonce", "")) if request is not None else str(context.get("csp_nonce", ""))


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    """Content hashes by file name, written by the build: an address changes exactly when its file does."""
    file = DIST / "assets.json"
    versions: dict[str, str] = json.loads(file.read_text()) if file.is_file() else {}
    return versions


def asset_url(name: str) -> str:
    """The address of a built file with its content hash."""
    version = _versions().get(name, "")
    return static(f"dist/{name}") + (f"?v={version}" if version else "")


@register.simple_tag(takes_context=True)
def script(context: Context, name: str) -> SafeString:
    """A built module, with the page's nonce: `{% script "app.js" %}`."""
    return format_html('<script type="module" nonce="{}" src="{}"></script>', nonce_of(context), asset_url(name))


@register.simple_tag
def stylesheet(name: str) -> SafeString:
    """A built style sheet."""
    return format_html('<link rel="stylesheet" href="{}">', asset_url(name))


# --- text and small parts ---


@register.simple_tag
def icon(name: str, label: Text = "", **attributes: str) -> SafeString:
    """`{% icon "mail" %}`, `{% icon "mail" label="Mail" class="size-5" %}`."""
    return icons.icon(name, css=attributes.get("class", ""), label=str(label))


register.tag("icon", once(register.tags["icon"]))


@register.simple_tag
def badge(text: Text, tone: str = "neutral", icon: str = "") -> SafeString:
    """A small label: tone neutral, brand, good, warn or bad."""
    picture = icons.icon(icon) if icon else ""
    return format_html('<span class="badge" data-tone="{}">{}{}</span>', tone, picture, text)


@register.simple_tag
def status(state: Text, label: Text = "") -> SafeString:
    """A state as badge with icon and word; `label` replaces the word."""
    look = states.shown(str(state))
    picture = icons.icon(look.icon, css="spin" if look.icon == "loader-circle" else "")
    return format_html(
        '<span class="badge" data-tone="{}" data-state="{}">{}{}</span>', look.tone, state, picture, label or look.label
    )


@register.simple_tag
def ago(moment: datetime | None, short: bool = False) -> SafeString:
    """A time as people say it, exact on hover and for machines. `short` is for list rows: 14:05, 3 Nov, 3 Nov 2024."""
    if moment is None:
        return SafeString(_("never"))
    local = timezone.localtime(moment)
    exact = formats.date_format(local, words.EXACT)
    text = words.short(local) if short else words.relative(moment)
    return format_html(
        '<time datetime="{}" title="{}"{}>{}</time>',
        local.isoformat(),
        exact,
        SafeString("" if short else " data-ago"),
        text,
    )


register.filter("bytes", sizes.size)


@register.simple_tag
def copy(value: Text, label: Text = "", text: Text = "") -> SafeString:
    """A button that copies `value`. `label` says what (for screen readers), `text` is shown beside the icon."""
    label = label or _("Copy")
    return format_html(
        '<button type="button" class="btn copy" data-variant="ghost" data-size="{}" data-copy="{}" title="{}"{}>'
        '<span data-when="idle">{}</span><span data-when="copied" hidden>{}</span>{}</button>',
        "sm" if text else "icon-sm",
        value,
        label,
        SafeString("") if text else format_html(' aria-label="{}"', label),
        icons.icon("copy"),
        icons.icon("check"),
        text,
    )


@register.simple_tag
def copyable(value: Text, label: Text = "") -> SafeString:
    """A value in monospace with its copy button."""
    return format_html('<span class="copyable"><code>{}</code>{}</span>', value, copy(value, label=label))


# --- navigation ---


@register.simple_tag
def breadcrumb(*parts: Any) -> SafeString:
    """`{% breadcrumb "Domains" url "acme.test" %}`: pairs of label and address, the last label stands alone."""
    labels, urls = parts[0::2], parts[1::2]
    items = []
    for number, label in enumerate(labels):
        divider = icons.icon("chevron-right") if number else ""
        if number < len(urls) and urls[number]:
            items.append(format_html('<li>{}<a href="{}">{}</a></li>', divider, urls[number], label))
        else:
            items.append(format_html('<li>{}<span aria-current="page">{}</span></li>', divider, label))
    return format_html(
        '<nav class="breadcrumb" aria-label="{}"><ol>{}</ol></nav>', _("Breadcrumb"), SafeString("".join(items))
    )


@register.simple_tag
def tab(url: str, label: Text, count: int | None = None, current: bool = False) -> SafeString:
    """One link inside `<nav class="tabs">`."""
    mark = SafeString(' aria-current="page"') if current else ""
    number = format_html('<span class="count">{}</span>', count) if count is not None else ""
    return format_html('<a href="{}"{}>{}{}</a>', url, mark, label, number)


@register.simple_tag(takes_context=True)
def query(context: Context, **changes: Any) -> str:
    """The page's query string with changes; None removes. `{% query page=2 %}` → `?q=x&page=2`."""
    return _query(context, changes)


def _query(context: Context, changes: dict[str, Any]) -> str:
    params = context["request"].GET.copy()
    for name, value in changes.items():
        if value is None or value == "":
            params.pop(name, None)
        else:
            params[name] = str(value)
    return f"?{params.urlencode()}"


@register.simple_tag(takes_context=True)
def sort_link(context: Context, field: str, label: Text, param: str = "sort") -> SafeString:
    """A column head that sorts: first ascending, then descending (`-field`), kept in the address."""
    now = context["request"].GET.get(param, "")
    current, descending = now.lstrip("-") == field, now.startswith("-")
    target = f"-{field}" if current and not descending else field
    picture = icons.icon("arrow-down" if descending else "arrow-up") if current else ""
    word = _("descending") if descending else _("ascending")
    spoken = format_html('<span class="sr-only">, {}</span>', word) if current else ""
    return format_html(
        '<a class="sort-link" href="{}"{}>{}{}{}</a>',
        _query(context, {param: target, "page": None}),
        SafeString(' aria-current="true"') if current else "",
        label,
        picture,
        spoken,
    )


@register.simple_tag
def shortcut(keys: str, label: Text, href: str = "") -> SafeString:
    """A hidden link that a key sequence presses; `?` lists it."""
    return format_html(
        '<a class="sr-only" tabindex="-1" aria-hidden="true" href="{}" data-keys="{}" data-keys-label="{}"></a>',
        href,
        keys,
        label,
    )


@register.simple_tag(takes_context=True)
def console_nav(context: Context) -> list[nav.Link]:
    """The console's entries for this request: `{% console_nav as links %}`."""
    request = context.get("request")
    return nav.console_links(request.path if request else "", str(context.get("section", "")))


@register.simple_tag
def as_toast(message: Message) -> Toast:
    """A waiting message as the toast it becomes."""
    return htmx.as_toast(message)


@register.simple_tag
def first_url(*names: str) -> str:
    """The address of the first URL name that exists, or ""."""
    return nav.first_url(*names)


@register.filter
def initials(name: str | None) -> str:
    """Up to two letters for an avatar."""
    words = (name or "").split("@")[0].replace(".", " ").replace("-", " ").replace("_", " ").split()
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper() or "?"


# --- blocks with content ---


@register.simple_block_tag(takes_context=True)
def card(context: Context, content: str, title: Text = "", lead: Text = "", flush: bool = False, id: str = "") -> str:
    """A section in a box; `flush` leaves out the padding, for tables and lists."""
    return _render(context, "ui/card.html", content=content, title=title, lead=lead, flush=flush, id=id)


@register.simple_block_tag(takes_context=True)
def empty_state(context: Context, content: str, title: Text = "", text: Text = "", icon: str = "inbox") -> str:
    """What a list shows when it holds nothing, with the next act as content."""
    return _render(context, "ui/empty.html", content=content, title=title, text=text, icon=icon)


ALERT_ICONS = {"info": "info", "good": "circle-check", "warn": "triangle-alert", "bad": "circle-alert"}


@register.simple_block_tag(takes_context=True)
def alert(context: Context, content: str, tone: str = "info", title: Text = "", live: bool = False) -> str:
    """A notice in its place: what happened, why, what to do. `live` reads it out when it arrives."""
    return _render(context, "ui/alert.html", content=content, tone=tone, title=title, live=live, icon=ALERT_ICONS[tone])


@register.simple_block_tag(takes_context=True)
def dialog(context: Context, content: str, id: str, title: Text) -> str:
    """A modal that `data-dialog-open="id"` opens."""
    return _render(context, "ui/dialog.html", content=content, id=id, title=title)


def _render(context: Context, name: str, **values: Any) -> str:
    if context.template is None:
        raise RuntimeError(f"{name} is rendered inside a template only")
    with context.push(**values):
        return context.template.engine.get_template(name).render(context)


# --- lists, forms, figures ---


@register.inclusion_tag("ui/pagination.html", takes_context=True)
def pagination(context: Context, page: Page[Any], param: str = "page") -> dict[str, Any]:
    """Newer and older pages of a Django `Page`; other query parameters stay."""
    newer = _query(context, {param: page.previous_page_number() if page.has_previous() and page.number > 2 else None})
    return {
        "page": page,
        "previous": newer if page.has_previous() else "",
        "following": _query(context, {param: page.next_page_number()}) if page.has_next() else "",
    }


@register.inclusion_tag("ui/cursor_nav.html")
def cursor_nav(newer: str = "", older: str = "") -> dict[str, str]:
    """Newer and older for lists paged by cursor: addresses, empty where there is none."""
    return {"newer": newer, "older": older}


@register.inclusion_tag("ui/meter.html")
def meter(used: int, limit: int | None, label: Text = "", unit: str = "", compact: bool = False) -> dict[str, Any]:
    """How much of a limit is used; speaks up at 80 and 95 %. limit None: unlimited. unit `bytes` writes sizes."""
    share = 0.0 if limit is None else used / limit if limit else 1.0
    write = (
        sizes.size
        if unit == "bytes"
        else lambda number: f"{formats.number_format(number, force_grouping=True)}{' ' + unit if unit else ''}"
    )
    tone, note = "brand", ""
    if limit is not None and share >= 1:
        tone, note = "bad", _("Full") if unit == "bytes" else _("All used")
    elif share >= 0.95:
        tone = "bad"
        note = (_("Almost full: %d %% used") if unit == "bytes" else _("%d %% used")) % int(share * 100)
    elif share >= 0.8:
        tone, note = "warn", _("%d %% used") % int(share * 100)
    value = (
        _("%(used)s of %(limit)s") % {"used": write(used), "limit": write(limit)} if limit is not None else write(used)
    )
    return {
        "label": label,
        "value": value,
        "used": used,
        "limit": limit,
        "tone": tone,
        "note": note,
        "compact": compact,
        "shown": min(used, limit) if limit else 0,
    }


@register.inclusion_tag("ui/check.html")
def check(title: Text, state: str, **facts: Any) -> dict[str, Any]:
    """One check's result. Facts: found, expected (text or list), todo, name, type, what, label."""
    for key in ("found", "expected"):
        value = facts.get(key)
        facts[key] = [value] if isinstance(value, (str, Promise)) and value else list(value or [])
    return {"title": title, "state": state, **facts}


@register.simple_tag
def field(bound: BoundField, suffix: Text = "", **attributes: Any) -> SafeString:
    """A form field: label, hint, control and error tied together. Extra keywords become attributes of the control."""
    for name, value in attributes.items():
        name = name.replace("_", "-")
        if value is False or value is None:
            bound.field.widget.attrs.pop(name, None)
        else:
            bound.field.widget.attrs[name] = value
    return bound.render(context={"field": bound, "suffix": suffix})


@register.filter
def field_kind(bound: BoundField) -> str:
    """How a field is laid out: check, options, hidden, password or text."""
    widget = bound.field.widget
    if widget.is_hidden:
        return "hidden"
    kind = getattr(widget, "input_type", "")
    if widget.use_fieldset or (kind in ("radio", "checkbox") and hasattr(widget, "choices")):
        return "options"
    return {"checkbox": "check", "password": "password"}.get(kind, "text")


@register.inclusion_tag("ui/form_errors.html")
def form_errors(form: BaseForm) -> dict[str, Any]:
    """The summary above a refused form: what is wrong as a whole, and links to the fields."""
    fields = [bound for bound in form if bound.errors and not bound.is_hidden]
    hidden = [error for bound in form.hidden_fields() for error in bound.errors]
    general = [*form.non_field_errors(), *hidden]
    # One wrong field says so itself; a summary on top of it would only repeat.
    return {
        "general": general,
        "fields": fields if len(fields) > 1 or general else [],
        "any": bool(general or len(fields) > 1),
    }


@register.inclusion_tag("ui/confirm_link.html", takes_context=True)
def confirm_link(
    context: Context, url: str, text: Text, variant: str = "destructive-outline", icon: str = "", size: str = ""
) -> dict[str, Any]:
    """A link to a page that asks by typing; with JavaScript it comes as a dialog."""
    return {"request": context.get("request"), "url": url, "text": text, "variant": variant, "icon": icon, "size": size}


@register.simple_tag
def lines(values: list[Text]) -> SafeString:
    """A list of sentences as `<ul>`."""
    return format_html("<ul>{}</ul>", format_html_join("", "<li>{}</li>", ((value,) for value in values)))
