"""Business refusals: one typed exception, turned into page, htmx fragment or problem+json in one place.

A refusal is an answer, not a bug: it carries a stable code, an HTTP status, a sentence for a person, and where
it belongs to one form field, that field's name. Anything else that escapes is a 500 and pages somebody.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Refusal(Exception):
    """Base of all business refusals.

    code: stable machine name, also the last part of the problem type URI (RFC 9457 §3.1.1)
    status: HTTP status
    message: translatable sentence: what happened, why, what to do now
    """

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 400
    message: ClassVar[str | Promise] = _("This cannot be done.")

    def __init__(
        self,
        message: str | Promise | None = None,
        *,
        field: str | None = None,
        retry_after: int | None = None,
        **data: Any,
    ) -> None:
        self.text: str | Promise = message if message is not None else self.message
        self.field = field
        self.retry_after = retry_after
        self.data = data
        super().__init__(str(self.code))

    def __str__(self) -> str:
        return str(self.text)


class NotFound(Refusal):
    """Absent, or not yours: the two are the same answer."""

    code = "not-found"
    status = 404
    message = _("There is nothing here, or you have no access to it.")


class Forbidden(Refusal):
    """Your role does not include this act (the object itself is yours to see)."""

    code = "forbidden"
    status = 403
    message = _("Your role does not allow this. Ask an owner of your company.")


class Invalid(Refusal):
    """What was typed cannot be used; `field` says where."""

    code = "invalid"
    status = 422
    message = _("Please check what you entered.")


class Conflict(Refusal):
    """The present state does not allow it."""

    code = "conflict"
    status = 409
    message = _("This is not possible in the present state.")


class LimitReached(Refusal):
    """A ceiling of the plan is reached."""

    code = "limit-reached"
    status = 409
    message = _("Your plan's limit is reached.")


class TooManyRequests(Refusal):
    """Rate limit; `retry_after` in seconds."""

    code = "too-many-requests"
    status = 429
    message = _("Too many requests. Wait a moment and try again.")


class Unavailable(Refusal):
    """A part the request needs is away; nothing was changed."""

    code = "unavailable"
    status = 503
    message = _("This part is unavailable at the moment. Nothing was changed; try again shortly.")
