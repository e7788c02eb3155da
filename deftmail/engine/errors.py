"""What can go wrong between us and a mail engine, as one family: each error says whether it heals by itself.

The exception's text is English and for logs (secrets are taken out before it is written); `reason` is the sentence
that people read beside the object.
"""

from __future__ import annotations

from typing import ClassVar

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class EngineError(Exception):
    """Base of all errors of the engine port.

    permanent: doing the same again cannot help; a person (or another spec) must change something first
    code: stable machine name, also the `outcome` of the log line
    """

    code: ClassVar[str] = "error"
    permanent: bool = False
    reason: str | Promise = _("The mail server could not do this. We will try again.")

    def __init__(self, detail: str = "", *, reason: str | Promise | None = None, permanent: bool | None = None) -> None:
        super().__init__(detail or self.code)
        if reason is not None:
            self.reason = reason
        if permanent is not None:
            self.permanent = permanent


class EngineUnavailable(EngineError):
    """No answer, or a broken one: refused connection, timeout, an engine that is starting. Nothing is known to have
    changed. `retry_after` in seconds where the engine named it."""

    code = "unavailable"
    reason = _("The mail server does not answer at the moment. We will try again by ourselves.")

    def __init__(self, detail: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class EngineBusy(EngineError):
    """The engine is well but not now: a lock, a limit on calls, objects that still point to this one."""

    code = "busy"
    reason = _("The mail server is busy with this. We will try again by ourselves.")


class EngineAuthFailed(EngineError):
    """The engine refuses our administrator or key. Heals when an operator corrects the settings, so it is retried."""

    code = "auth"
    reason = _("The mail server refuses our sign-in. The operator has to look at this.")


class EngineRefused(EngineError):
    """The engine understood and said no, or we refuse to say such a thing to an engine (names, hashes, keys)."""

    code = "refused"
    permanent = True
    reason = _("The mail server refuses this object as it is.")


class NotSupported(EngineRefused):
    """This engine has no such ability; `capabilities` says so beforehand."""

    code = "not-supported"
    reason = _("This installation's mail server cannot do this.")


class Unexpected(EngineError):
    """A fault of ours inside a driver: logged with its traceback, retried, since a release may mend it."""

    code = "unexpected"
