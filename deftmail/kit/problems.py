"""Errors as RFC 9457 problem details: one shape, whoever answers (a view, a middleware, or the server in front)."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from deftmail.kit.conf import conf
from deftmail.kit.errors import Forbidden, NotFound, Refusal, TooManyRequests, Unavailable

MEDIA_TYPE = "application/problem+json"
PATH = "/docs/problems/"


class BadRequest(Refusal):
    """The request could not be read: broken JSON, a malformed header."""

    code = "bad-request"
    status = 400
    message = _("The request could not be read. Nothing was changed.")


class Unauthorized(Refusal):
    """No API key came with the request, or one that is unknown, revoked or expired."""

    code = "unauthorized"
    status = 401
    message = _("A valid API key is needed.")


class MethodNotAllowed(Refusal):
    """There is something at this address, but not for this method. `Allow` names those it takes."""

    code = "method-not-allowed"
    status = 405
    message = _("This address does not take this method.")


class TooLarge(Refusal):
    """The body of the request is larger than this address takes."""

    code = "too-large"
    status = 413
    message = _("The request is too large. Nothing was changed.")


class UnsupportedMediaType(Refusal):
    """The body is not what its address takes; the API takes JSON."""

    code = "unsupported-media-type"
    status = 415
    message = _("Send the body as `Content-Type: application/json`. Nothing was changed.")


class InternalError(Refusal):
    """A fault of ours. It was recorded; nothing about it is told to the caller."""

    code = "internal-error"
    status = 500
    message = _("Something broke on our side. It was recorded and somebody will look at it.")


BY_STATUS: dict[int, type[Refusal]] = {
    kind.status: kind
    for kind in (
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        TooLarge,
        UnsupportedMediaType,
        TooManyRequests,
        InternalError,
        Unavailable,
    )
}
"""The problem that stands for a bare HTTP status."""


def details(refusal: Refusal) -> dict[str, Any]:
    """The body of the answer. `errors` names the member that is wrong (§3.2, extension members)."""
    body: dict[str, Any] = {
        # Absolute, and a page that explains it (§3.1.1).
        "type": f"{conf.base_url}{PATH}{refusal.code}",
        "title": str(refusal.message),
        "status": refusal.status,
        "detail": str(refusal.text),
        **refusal.data,
    }
    if refusal.field:
        body["errors"] = [{"field": refusal.field, "detail": str(refusal.text)}]
    return body
