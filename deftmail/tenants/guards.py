"""What stands before every signed-in page: who asks, may he, and only his company's rows."""

from __future__ import annotations

import functools
import time
import zoneinfo
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import structlog
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core.exceptions import ReauthenticationRequired
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django.template.response import SimpleTemplateResponse
from django.utils.timezone import override

from deftmail.kit.middleware import limited
from deftmail.kit.net import client_ip
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants.actor import Actor
from deftmail.tenants.models import Membership
from deftmail.tenants.policies import Action

FRESH = 15 * 60
"""Seconds for which a typed password opens sensitive acts."""


def request_id() -> str:
    """The id every log line of this request carries."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def actor_of(request: HttpRequest) -> Actor | None:
    """The signed-in person as an actor, read once a request; None for a guest or a person without a company."""
    cached: Actor | bool | None = getattr(request, "_actor", False)
    if not isinstance(cached, bool):
        return cached
    actor: Actor | None = None
    if request.user.is_authenticated:
        structlog.contextvars.bind_contextvars(user_id=str(request.user.pk))
        membership: Membership | None = getattr(request.user, "membership", None)  # came with the session's user
        if membership is not None:
            actor = Actor.person(
                membership.tenant_id,
                membership.role,
                request.user.pk,
                request.user.email,
                ip=client_ip(request) or None,
                request_id=request_id(),
            )
    request._actor = actor  # type: ignore[attr-defined]
    return actor


def forget_actor(request: HttpRequest) -> None:
    """After sign-in or sign-out: the next `actor_of` reads anew."""
    request.__dict__.pop("_actor", None)


def require_fresh_sign_in(request: HttpRequest) -> None:
    """Let pass only who typed his password in this session in the last 15 minutes; others type it now and come back.

    Raises allauth's ReauthenticationRequired, which its middleware turns into the page that asks.
    """
    records = get_authentication_records(request, request.user)
    if not any(time.time() - float(record.get("at", 0)) < FRESH for record in records):
        raise ReauthenticationRequired


@contextmanager
def _his_time(request: HttpRequest) -> Iterator[None]:
    """Times in the person's zone while his page is made."""
    try:
        zone = zoneinfo.ZoneInfo(request.user.timezone)  # type: ignore[union-attr]
    except (ValueError, zoneinfo.ZoneInfoNotFoundError):  # an update of the zone data dropped it
        zone = zoneinfo.ZoneInfo("UTC")
    with override(zone):
        yield


def _kept_nowhere(response: HttpResponseBase) -> HttpResponseBase:
    """After sign-out the Back button must not show what was read: no cache keeps a page that does not say otherwise."""
    if not response.has_header("Cache-Control"):
        response["Cache-Control"] = "no-store"
    return response


def _way_back(request: HttpRequest) -> str:
    """The page the person is on: of a form or fragment not its own address, which no browser can open."""
    if request.method in ("GET", "HEAD") and not getattr(request, "htmx", False):
        return request.get_full_path()
    seen = urlsplit(request.headers.get("HX-Current-URL") or request.headers.get("Referer", ""))
    if seen.netloc != request.get_host():
        return ""
    return seen.path + (f"?{seen.query}" if seen.query else "")


def to_sign_in(request: HttpRequest) -> HttpResponse:
    """To the sign-in page and back; an htmx request navigates the whole page, but not away from what somebody typed."""
    if getattr(request, "htmx", False) and request.method not in ("GET", "HEAD"):
        return HttpResponse(status=401)
    back = _way_back(request)
    url = str(resolve_url("account_login")) + (f"?next={quote(back)}" if back else "")
    if getattr(request, "htmx", False):
        response = HttpResponse(status=200)
        response["HX-Redirect"] = url
        return response
    return redirect(url)


def signed_in(
    action: Action, *, limit: str = "page", write: str = "", transaction: bool = True
) -> Callable[[Callable[..., HttpResponseBase]], Callable[..., HttpResponseBase]]:
    """Guard a view `view(request, actor, …)`: signed in, allowed `action`, counted against `limit` (`write` for POST).

    With `transaction` the view and its template run inside the company's `tenant_tx`. Views that call the mail engine
    take `transaction=False` and open short blocks themselves.
    """

    def decorate(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            actor = actor_of(request)
            if actor is None:
                return to_sign_in(request)
            actor.require(action)
            with _his_time(request):
                if not transaction:
                    return _kept_nowhere(view(request, actor, *args, **kwargs))
                with tenant_tx(actor.tenant_id):
                    request.in_company = True  # type: ignore[attr-defined]  # read by tenants.context
                    response = view(request, actor, *args, **kwargs)
                    if isinstance(response, SimpleTemplateResponse):
                        response.render()  # a lazy template would query outside the company's transaction
                    request.in_company = False  # type: ignore[attr-defined]
            return _kept_nowhere(response)

        guarded.needs = action  # type: ignore[attr-defined]  # read by the generated tests
        return limited(limit, write=write)(guarded)

    return decorate
