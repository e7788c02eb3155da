"""What can go wrong between us and a mail engine, as one family of exceptions.

Every error says whether trying again later can help (``temporary``) and carries a short stable ``code`` that the caller
turns into a sentence in the reader's language. The English text of the exception is for logs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class JmapError(Exception):
    """Base of all errors of this package."""

    temporary = False
    code = "jmap"

    def __init__(self, message: str = "", *, code: str | None = None, temporary: bool | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        if temporary is not None:
            self.temporary = temporary


class EngineUnavailable(JmapError):
    """No usable answer: refused connection, timeout, 429, 5xx, HTML or broken JSON in place of an answer.

    ``sent`` is true when the request may have reached the engine, so that a change may or may not have happened.
    ``retry_after`` is in seconds, where the engine named it (429 and 503).
    """

    temporary = True
    code = "unavailable"

    def __init__(self, message: str, *, code: str, sent: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message, code=code)
        self.sent = sent
        self.retry_after = retry_after


class AuthFailed(JmapError):
    """The engine refuses our credentials (401 twice, or 403)."""

    code = "auth"


class AnswerTooLarge(JmapError):
    """An answer larger than we are willing to hold in memory; reading stopped there."""

    code = "answerTooLarge"


class RequestRefused(JmapError):
    """The whole request was refused (RFC 8620 §3.6.1); ``code`` is the last part of the problem type."""

    code = "request"


class MethodFailed(JmapError):
    """One method call answered ``error`` (RFC 8620 §3.6.2). ``type`` is the engine's word for it."""

    def __init__(self, type_: str, description: str = "", *, method: str = "") -> None:
        super().__init__(f"{method}: {type_} {description}".strip(), code=type_, temporary=type_ in TEMPORARY_TYPES)
        self.type = type_
        self.method = method


class InvalidId(JmapError, ValueError):
    """Not the shape of an id (RFC 8620 §1.2): somebody edited a URL."""

    code = "invalidId"


class NotFound(JmapError):
    """The object is not there (any more)."""

    code = "notFound"


class OverQuota(JmapError):
    """The mailbox is full."""

    code = "overQuota"


class TooLarge(JmapError):
    """The message or the upload is larger than the engine takes."""

    code = "tooLarge"


class InvalidMessage(JmapError, ValueError):
    """A message we refuse to build; ``field`` says which part of it is wrong, ``code`` how."""

    code = "invalidMessage"

    def __init__(self, message: str, *, field: str, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.field = field


class InvalidScript(JmapError):
    """The engine does not understand a Sieve script; the text says where."""

    code = "invalidScript"


class SetFailed(JmapError):
    """A change to one object was refused for a reason without a class of its own."""

    def __init__(self, error: SetError) -> None:
        super().__init__(f"{error.type} {error.description}".strip(), code=error.type, temporary=error.temporary)
        self.error = error


class SendRefused(JmapError):
    """The message was not sent; it lies in Drafts as ``draft_id``.

    ``kind``: ``refused`` (a rule said no, ``sentence`` says why) · ``recipients`` · ``too_many`` · ``too_large`` ·
    ``sender`` (the From address is not this mailbox's) · ``engine`` (sending does not work at the moment).
    ``sentence`` is the server's own sentence for people, without its code, possibly empty; ``detail`` is only for logs.
    ``enhanced_code`` as in RFC 3463.
    """

    def __init__(
        self,
        kind: str,
        *,
        temporary: bool,
        sentence: str = "",
        enhanced_code: str = "",
        recipients: tuple[str, ...] = (),
        draft_id: str | None = None,
        detail: str = "",
    ) -> None:
        text = " ".join(part for part in (f"{kind}:", enhanced_code, sentence or detail) if part)
        super().__init__(text, code=f"send.{kind}", temporary=temporary)
        self.kind = kind
        self.sentence = sentence
        self.enhanced_code = enhanced_code
        self.recipients = recipients
        self.draft_id = draft_id


class SendUnknown(JmapError):
    """Nobody knows whether the message left: the answer was lost and it is not in Sent.

    Sending again with the same Message-ID is safe against the case that it shows up in Sent later.
    """

    temporary = True
    code = "send.unknown"

    def __init__(self, message: str, *, draft_id: str | None = None) -> None:
        super().__init__(message)
        self.draft_id = draft_id


# Words by which engines say "not now" (RFC 8620 §3.6.2, §5.3; RFC 8621 §7.5).
TEMPORARY_TYPES = frozenset(
    {"serverUnavailable", "serverFail", "serverPartialFail", "rateLimit", "stateMismatch", "anchorNotFound"}
)


@dataclass(frozen=True, slots=True)
class SetError:
    """Why one object of a ``/set`` was refused (RFC 8620 §5.3)."""

    type: str
    description: str = ""
    properties: tuple[str, ...] = ()
    existing_id: str | None = None
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def temporary(self) -> bool:
        return self.type in TEMPORARY_TYPES

    def as_exception(self) -> JmapError:
        """The exception a caller of a single change gets."""
        text = f"{self.type} {self.description}".strip()
        match self.type:
            case "notFound":
                return NotFound(text)
            case "overQuota":
                return OverQuota(text)
            case "tooLarge" | "maxSizeExceeded":
                return TooLarge(text)
            case "invalidScript" | "invalidSieve":
                return InvalidScript(self.description.strip() or text)
            case _:
                return SetFailed(self)
