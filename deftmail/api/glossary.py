"""What each problem code means, read off the refusals themselves: a new refusal has its page without another word."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from deftmail.api import auth, idempotency, pagination
from deftmail.domains import errors as domain_errors
from deftmail.kit import errors as kit_errors
from deftmail.kit import problems
from deftmail.kit.errors import Refusal
from deftmail.mailboxes import errors as mailbox_errors
from deftmail.tenants.errors import CompanyCancelled, CompanySuspended, NoApiAccess

# Where what an API call can meet is defined. Rooms that only pages use stay out, whatever else is imported.
_MODULES = (auth, domain_errors, idempotency, kit_errors, mailbox_errors, pagination, problems)
_ALONE = (CompanyCancelled, CompanySuspended, NoApiAccess)

_TODO: dict[int, Promise] = {
    400: _("Correct the request and send it again."),
    401: _("Send a key that is valid: one made under API keys in the console, not revoked and not expired."),
    403: _("Ask an owner of the company: the key needs another scope, or the company another plan or state."),
    404: _("Check the id. What belongs to another company looks the same as what does not exist."),
    405: _("Use one of the methods that the Allow header names."),
    409: _("Look at the present state first; the sentence in “detail” says what stands in the way."),
    410: _("Ask for a new link."),
    413: _("Send less in one request."),
    415: _("Send the body as JSON, with Content-Type: application/json."),
    422: _("Correct the members that “errors” names and send it again."),
    429: _("Wait as many seconds as the Retry-After header says."),
    500: _("Try again in a minute. If it happens again, tell us the time and the X-Request-ID."),
    503: _("Try again after the seconds of the Retry-After header. Nothing was changed."),
}


@dataclass(frozen=True)
class Entry:
    """One code: its HTTP status, the sentence it comes with, what it means, and what to do about it."""

    code: str
    status: int
    message: str | Promise
    meaning: str
    todo: str | Promise


@functools.cache
def entries() -> dict[str, Entry]:
    """Every code, in alphabetical order. Two rooms may use one code; the first by name explains it."""
    found: dict[str, Entry] = {}
    for kind in sorted(_kinds(), key=lambda kind: (kind.code, kind.__module__)):
        if kind.code not in found:
            meaning = " ".join((inspect.getdoc(kind) or "").split())
            todo = _TODO.get(kind.status, _TODO[400])
            found[kind.code] = Entry(kind.code, kind.status, kind.message, meaning, todo)
    return found


def _kinds() -> Iterator[type[Refusal]]:
    yield from _ALONE
    for module in _MODULES:
        classes = (each for each in vars(module).values() if isinstance(each, type) and issubclass(each, Refusal))
        yield from (kind for kind in classes if kind.__module__ == module.__name__ and kind is not Refusal)
