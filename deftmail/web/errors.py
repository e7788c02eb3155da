"""Error pages: what happened, why, what to do now. None asks the database, the session or the messages."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from deftmail.kit import problems
from deftmail.kit.database import DATABASE_AWAY, forget_connections


class Said(NamedTuple):
    """title: what happened · why · todo: what to do now · act: `home`, `reload` or `back`."""

    title: str | Promise
    why: str | Promise
    todo: str | Promise
    act: str


PAGES: dict[int, Said] = {
    400: Said(
        _("The request could not be read"),
        _("What arrived was incomplete or malformed, so nothing was changed."),
        _("Go back and try again. If it happens twice, tell us what you were doing."),
        "back",
    ),
    403: Said(
        _("You may not open this"),
        _("Your role in this company does not include it, or the form you sent was out of date."),
        _("Go back and reload the page. If you need access, ask an owner of your company."),
        "back",
    ),
    404: Said(
        _("There is nothing here"),
        _("The address is wrong, the thing was deleted, or you have no access to it."),
        _("Check the address, or go on from the start."),
        "home",
    ),
    409: Said(
        _("This is not possible in the present state"),
        _("Something else changed first, or a limit of the plan is reached. Nothing was changed."),
        _("Go back and look at the present state."),
        "back",
    ),
    429: Said(
        _("Too many requests"),
        _("This address or account asked more often than the limit allows. Nothing was changed."),
        _("Wait a moment, then try again."),
        "reload",
    ),
    500: Said(
        _("Something broke on our side"),
        _("An unexpected fault stopped this page. It was recorded and somebody will look at it."),
        _("Try again in a minute. Mail keeps arriving meanwhile."),
        "reload",
    ),
    503: Said(
        _("This part is unavailable at the moment"),
        _("A service that this page needs is not answering. Your mail and your settings are safe."),
        _("Try again shortly. The page works again by itself as soon as the service does."),
        "reload",
    ),
}


def error_page(request: HttpRequest, status: int, **said: Any) -> HttpResponse:
    """The page for `status`; `said` replaces title, why, todo or act. htmx gets one sentence for a toast."""
    page = PAGES.get(status) or PAGES[500 if status >= 500 else 400]
    values = {**page._asdict(), **said, "status": status}
    if request.path.startswith("/api/"):
        kind = problems.BY_STATUS.get(status, problems.InternalError if status >= 500 else problems.BadRequest)
        return JsonResponse(problems.details(kind()), status=status, content_type=problems.MEDIA_TYPE)
    if request.headers.get("HX-Request"):
        return HttpResponse(
            f"{values['title']}. {values['todo']}", status=status, content_type="text/plain; charset=utf-8"
        )
    context = {
        **values,
        "csp_nonce": "",
        "theme": theme if (theme := request.COOKIES.get("dm_theme")) in ("light", "dark") else "system",
        "path": request.get_full_path(),
    }
    return HttpResponse(render_to_string("errors/page.html", context), status=status)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler400."""
    return error_page(request, 400)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler403."""
    return error_page(request, 403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler404."""
    return error_page(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: a bug, unless what was raised below the views is only the database being away."""
    fault = sys.exc_info()[1]
    if not isinstance(fault, DATABASE_AWAY):
        return error_page(request, 500)
    forget_connections(fault)
    response = error_page(request, 503)
    response["Retry-After"] = "5"
    return response
