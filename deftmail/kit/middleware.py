"""Refusals become answers here, and every request is counted here: the two things no view may forget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from deftmail.kit import problems, ratelimit
from deftmail.kit.database import DATABASE_AWAY, forget_connections
from deftmail.kit.errors import Refusal, TooManyRequests, Unavailable
from deftmail.kit.net import client_ip

log = structlog.get_logger(__name__)
View = TypeVar("View", bound=Callable[..., Any])


def limited(name: str, *, write: str = "") -> Callable[[View], View]:
    """Name the request limit of a view (a key of `ratelimit.LIMITS`). Every route has one; a test walks them.

    write: another limit for requests that change something; of a `page` it is `write` unless named.
    """
    for each in filter(None, (name, write)):
        if each not in ratelimit.LIMITS:
            raise ImproperlyConfigured(f"no request limit is called {each!r}")

    def mark(view: View) -> View:
        view.limit = name  # type: ignore[attr-defined]
        view.limit_of_writes = write or ("write" if name == "page" else name)  # type: ignore[attr-defined]
        return view

    return mark


# Views that are not ours to decorate, by URL name prefix. GET and HEAD use the first, others the second.
FOREIGN_LIMITS: dict[str, tuple[str, str]] = {
    "api-v1:": ("api_read", "api_write"),
    "account_login": ("page", "signin"),
    "account_reset_password": ("page", "mail_link"),
    "account_": ("page", "write"),
}


def limit_of(view: Callable[..., Any], url_name: str, method: str) -> str | None:
    """The limit that applies to a request, or None when the route has none (a failed test)."""
    reading = method in ("GET", "HEAD", "OPTIONS")
    name: str | None = getattr(view, "limit", None)
    if name is not None:
        return name if reading else getattr(view, "limit_of_writes", name)
    for prefix, (read, write) in FOREIGN_LIMITS.items():
        if url_name.startswith(prefix):
            return read if reading else write
    return None


class RateLimitMiddleware:
    """Counts per address and per session or key, in one round trip."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], _args: Any, _kwargs: Any
    ) -> HttpResponseBase | None:
        match = request.resolver_match
        name = limit_of(view, match.view_name if match else "", request.method or "GET")
        if name is None:
            return None
        subjects = ["address:" + ratelimit.address_key(client_ip(request))]
        if authorization := request.headers.get("Authorization"):
            subjects.append("key:" + authorization)
        elif session := request.COOKIES.get("dm_session"):
            subjects.append("session:" + session)
        verdict = ratelimit.hit(name, *subjects)
        if verdict.allowed:
            return None
        return refuse(request, TooManyRequests(retry_after=verdict.retry_after))


class RefusalMiddleware:
    """Turns a `Refusal` that a view raised into a page, an htmx fragment or problem+json."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.status_code == 405 and request.path.startswith("/api/"):
            # Django and ninja answer it themselves, in plain text.
            refused = problem(problems.MethodNotAllowed())
            refused["Allow"] = response.headers.get("Allow", "")
            return refused
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        if isinstance(exception, Refusal):
            return refuse(request, exception)
        if isinstance(exception, DATABASE_AWAY):
            log.error("database.away", error=type(exception).__name__, path=request.path)
            forget_connections(exception)
            return refuse(request, Unavailable(_("The database is not answering. Nothing was changed."), retry_after=5))
        return None


def refuse(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """The answer to a refusal in the form the caller reads."""
    response: HttpResponse
    if request.path.startswith("/api/"):
        response = problem(refusal)
    elif getattr(request, "htmx", False):
        response = render(request, "fragments/refusal.html", {"refusal": refusal}, status=refusal.status)
        response["HX-Retarget"] = "#toasts"
        response["HX-Reswap"] = "beforeend"
    else:
        response = render(request, "errors/refusal.html", {"refusal": refusal}, status=refusal.status)
    if refusal.retry_after:
        response["Retry-After"] = str(refusal.retry_after)
    return response


def problem(refusal: Refusal) -> JsonResponse:
    """The refusal as RFC 9457 problem details."""
    response = JsonResponse(problems.details(refusal), status=refusal.status, content_type=problems.MEDIA_TYPE)
    if refusal.retry_after:
        response["Retry-After"] = str(refusal.retry_after)
    return response
