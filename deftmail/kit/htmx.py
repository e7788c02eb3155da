"""Answers to htmx and to plain requests from one place: redirects, toasts, announcements.

The nonce needs nothing here: each response, also a fragment, carries its own CSP header with a fresh nonce,
`{% hx %}` writes that nonce on the elements, and the hx-csp extension maps it to the page's. What carries no
valid nonce is stripped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal, TypedDict

from django.contrib import messages
from django.contrib.messages.storage.base import Message
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.functional import Promise
from django_htmx.http import HttpResponseClientRedirect

Kind = Literal["info", "success", "warning", "error"]
LEVELS: dict[Kind, int] = {
    "info": messages.INFO,
    "success": messages.SUCCESS,
    "warning": messages.WARNING,
    "error": messages.ERROR,
}
UNDO = "undo:"


class Toast(TypedDict):
    """A toast as the page and the script draw it."""

    text: str
    kind: str
    undo: str


def is_htmx(request: HttpRequest) -> bool:
    """Whether htmx asked."""
    return bool(getattr(request, "htmx", False))


def is_fragment(request: HttpRequest) -> bool:
    """Whether to answer with a part of the page only: htmx asked for a part, not for a whole page (boost, history)."""
    return is_htmx(request) and request.headers.get("HX-Request-Type", "partial") == "partial"


def redirect(request: HttpRequest, to: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
    """Go to a view name, an address or an object's page: 303 (RFC 9110 §15.4.4), or HX-Redirect for htmx."""
    url = resolve_url(to, *args, **kwargs)
    if is_htmx(request):
        return HttpResponseClientRedirect(url)
    response = HttpResponseRedirect(url)
    response.status_code = 303
    return response


def toast(request: HttpRequest, text: str | Promise, *, undo_url: str | None = None, kind: Kind = "info") -> None:
    """Say `text` for a moment: in this answer when htmx asked, else on the next page.

    undo_url: an address that takes a POST and takes the act back.
    """
    messages.add_message(request, LEVELS[kind], str(text), extra_tags=UNDO + undo_url if undo_url else "")


def as_toast(message: Message) -> Toast:
    """A stored message as toast."""
    kind = next((name for name, level in LEVELS.items() if level == message.level), "info")
    tags = message.extra_tags or ""
    return Toast(text=str(message.message), kind=kind, undo=tags.removeprefix(UNDO) if tags.startswith(UNDO) else "")


def trigger(response: HttpResponseBase, name: str, detail: dict[str, Any] | None = None) -> None:
    """Add a client event to `HX-Trigger`, beside those already there."""
    events = json.loads(response.headers.get("HX-Trigger") or "{}")
    events[name] = detail or {}
    response.headers["HX-Trigger"] = json.dumps(events)


def announce(response: HttpResponseBase, text: str | Promise) -> None:
    """Have the page's live region read `text` out."""
    trigger(response, "deft:announce", {"text": str(text)})


class ToastMiddleware:
    """Sends pending toasts with a fragment. A redirect leaves them for the page it leads to."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not is_htmx(request) or not (200 <= response.status_code < 300 or response.status_code in (400, 422)):
            return response
        if any(name in response.headers for name in ("HX-Redirect", "HX-Location", "HX-Refresh")):
            return response
        # Reading marks them as shown, so each one is said once: here or on the next page.
        toasts = [as_toast(message) for message in messages.get_messages(request)]
        if toasts:
            trigger(response, "deft:toast", {"toasts": toasts})
        return response
