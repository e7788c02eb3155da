"""Every error that an operation raises becomes RFC 9457 problem details here."""

from __future__ import annotations

import json
from typing import Any

import structlog
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.parser import Parser

from deftmail.kit.database import DATABASE_AWAY, forget_connections
from deftmail.kit.errors import Invalid, NotFound, Refusal, Unavailable
from deftmail.kit.middleware import problem
from deftmail.kit.problems import BadRequest, TooLarge, Unauthorized, UnsupportedMediaType

log = structlog.get_logger(__name__)


class JsonOnly(Parser):
    """Reads request bodies. Anything but JSON is refused: what a form or a file would mean is not guessed."""

    def parse_body(self, request: HttpRequest) -> Any:
        """The body as Python data. ninja turns what is raised into an HttpError with it as its cause."""
        if request.content_type != "application/json":
            raise UnsupportedMediaType
        return json.loads(request.body)


def install(api: NinjaAPI) -> None:
    """Register the handlers on `api`."""

    @api.exception_handler(Refusal)
    def refusal(request: HttpRequest, error: Refusal) -> HttpResponse:
        return problem(error)

    @api.exception_handler(AuthenticationError)
    def unauthorized(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
        response = problem(Unauthorized(_("Send a valid API key as `Authorization: Bearer …`.")))
        # RFC 6750 §3.1: no error code where no key was sent at all.
        sent = bool(request.headers.get("Authorization"))
        response["WWW-Authenticate"] = 'Bearer realm="deftmail"' + (', error="invalid_token"' if sent else "")
        return response

    @api.exception_handler(Http404)
    def absent(request: HttpRequest, error: Http404) -> HttpResponse:
        return problem(NotFound())

    @api.exception_handler(RequestDataTooBig)
    def too_large(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
        return problem(TooLarge())

    @api.exception_handler(HttpError)
    def http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
        """ninja raises it for one reason: `JsonOnly` could not read the body."""
        cause = error.__cause__
        if isinstance(cause, Refusal):
            return problem(cause)
        if isinstance(cause, json.JSONDecodeError):
            place = {"line": cause.lineno, "column": cause.colno}
            return problem(BadRequest(_("The body is not JSON: line %(line)d, column %(column)d.") % place))
        return problem(BadRequest(_("The body is not JSON.")))

    @api.exception_handler(ValidationError)
    def malformed(request: HttpRequest, error: ValidationError) -> HttpResponse:
        return problem(_fields(error.errors))

    def away(request: HttpRequest, error: Exception) -> HttpResponse:
        log.error("database.away", error=type(error).__name__, path=request.path)
        forget_connections(error)
        return problem(Unavailable(_("The database is not answering. Nothing was changed."), retry_after=5))

    for kind in DATABASE_AWAY:
        api.exception_handler(kind)(away)


def _fields(errors: list[dict[str, Any]]) -> Invalid:
    """pydantic's errors by the name of the member: ("body", "body", "email") is `email`, ("query", "limit") `limit`."""
    places = []
    for error in errors:
        source, *path = error["loc"]
        if source == "body":
            path = path[1:]  # the name of our own parameter
        detail = str(error["msg"]).removeprefix("Value error, ")  # pydantic's word for a check of ours
        places.append({"field": ".".join(str(part) for part in path) or str(source), "detail": detail})
    detail = "; ".join(f"{place['field']}: {place['detail']}" for place in places)
    return Invalid(detail, errors=places)
