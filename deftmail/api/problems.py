"""Every error of the API as RFC 9457 problem details, in one place."""

from __future__ import annotations

from typing import Any

import structlog
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from deftmail.kit.errors import Invalid, NotFound, Refusal, Unavailable
from deftmail.kit.middleware import DATABASE_AWAY, problem

log = structlog.get_logger(__name__)


class Unauthorized(Refusal):
    code = "unauthorized"
    status = 401


class BadRequest(Refusal):
    code = "bad-request"
    status = 400


class TooLarge(Refusal):
    code = "too-large"
    status = 413


def install(api: NinjaAPI) -> None:
    """Register the handlers on `api`."""

    @api.exception_handler(Refusal)
    def refusal(request: HttpRequest, error: Refusal) -> HttpResponse:
        return problem(error)

    @api.exception_handler(AuthenticationError)
    def unauthorized(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
        response = problem(Unauthorized(_("Send a valid API key as `Authorization: Bearer …`.")))
        response["WWW-Authenticate"] = 'Bearer realm="deftmail"'  # RFC 6750 §3
        return response

    @api.exception_handler(Http404)
    def absent(request: HttpRequest, error: Http404) -> HttpResponse:
        return problem(NotFound())

    @api.exception_handler(RequestDataTooBig)
    def too_large(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
        return problem(TooLarge(_("The request body is too large.")))

    @api.exception_handler(HttpError)
    def http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
        answer = problem(BadRequest(str(error)))
        answer.status_code = error.status_code
        return answer

    @api.exception_handler(ValidationError)
    def malformed(request: HttpRequest, error: ValidationError) -> HttpResponse:
        return _fields(error.errors)

    def away(request: HttpRequest, error: Exception) -> HttpResponse:
        log.error("database.away", error=type(error).__name__, path=request.path)
        return problem(Unavailable(_("The database is not answering. Nothing was changed."), retry_after=5))

    for kind in DATABASE_AWAY:
        api.exception_handler(kind)(away)


def _fields(errors: list[dict[str, Any]]) -> HttpResponse:
    places = [
        {"field": ".".join(str(part) for part in error["loc"][2:]) or str(error["loc"][-1]), "detail": error["msg"]}
        for error in errors
    ]
    detail = "; ".join(f"{place['field']}: {place['detail']}" for place in places)
    return problem(Invalid(detail, errors=places))
