"""Every limit of sending: its window, its plan column, and the sentence that refuses. Pure; no Redis, no database.

The windows roll in buckets: a day is the running hour and 24 full ones before it, so a limit is never exceeded in any
24 hours and room is free up to one bucket late. The same buckets are what the mirror in PostgreSQL keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from deftmail.sending.decisions import Code, Verdict


class Whose(StrEnum):
    """Who shares a counter."""

    MAILBOX = "mailbox"
    DOMAIN = "domain"


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit. `column` is its number in plans and companies (null: unlimited).

    code: names its buckets in Redis; step: seconds of one; full: how many count beside the running one
    first: only recipients this mailbox has never written to
    """

    name: str
    column: str
    whose: Whose
    code: str
    step: int
    full: int
    phrase: str
    label: Promise | str
    first: bool = False


LIMITS: tuple[Limit, ...] = (
    Limit("mailbox_day", "recipients_per_mailbox_day", Whose.MAILBOX, "d", 3600, 24,
          "recipients in 24 hours for this mailbox", _("Recipients a day, this mailbox")),
    Limit("mailbox_hour", "recipients_per_mailbox_hour", Whose.MAILBOX, "h", 300, 12,
          "recipients an hour for this mailbox", _("Recipients an hour, this mailbox")),
    Limit("mailbox_minute", "recipients_per_minute", Whose.MAILBOX, "b", 5, 12,
          "recipients a minute for this mailbox", _("Recipients a minute, this mailbox")),
    Limit("first_day", "first_recipients_per_day", Whose.MAILBOX, "f", 3600, 24,
          "new recipients in 24 hours (people this mailbox never wrote to)", _("New recipients a day, this mailbox"),
          first=True),
    Limit("domain_day", "recipients_per_domain_day", Whose.DOMAIN, "d", 3600, 24,
          "recipients in 24 hours for the whole domain", _("Recipients a day, whole domain")),
)  # fmt: skip
BY_NAME = {limit.name: limit for limit in LIMITS}
COLUMNS = tuple(limit.column for limit in LIMITS)
MIRRORED = tuple(limit for limit in LIMITS if limit.step == 3600)
"""Those whose buckets are hours, which the mirror keeps."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose counters a message is charged to, and what they may reach.

    maxima: in the order of `LIMITS`; None is unlimited
    own_domains: the company's domains that receive here; recipients in them are free
    """

    tenant_id: str
    mailbox_id: str
    domain_id: str
    maxima: tuple[int | None, ...]
    own_domains: frozenset[str]


@dataclass(frozen=True, slots=True)
class Decision(Verdict):
    """A verdict on a message to these recipients; of a refusal by a limit also which, what was used, when it frees.

    frees_at: None where waiting does not help
    """

    limit: str = ""
    used: int = 0
    maximum: int = 0
    frees_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Meter:
    """One counter as people see it. `frees_at`: when the oldest use leaves the window; None when nothing is used."""

    name: str
    used: int
    maximum: int | None
    frees_at: datetime | None = None

    @property
    def left(self) -> int | None:
        """How many more recipients; None is unlimited."""
        return None if self.maximum is None else max(self.maximum - self.used, 0)

    @property
    def percent(self) -> int:
        """0 to 100; 0 where unlimited."""
        if self.maximum is None:
            return 0
        return min(100, self.used * 100 // self.maximum) if self.maximum > 0 else 100

    @property
    def label(self) -> Promise | str:
        """Its name for people."""
        return BY_NAME[self.name].label


ALLOWED = Decision(Code.OK)


def over(limit: Limit, *, used: int, maximum: int, asked: int, frees_at: datetime | None, link: str) -> Decision:
    """The refusal of a limit: what it is, what was used, when it frees, where to look. ASCII, one line."""
    if frees_at is None:
        words = (
            f"This message has {asked} {'new ' if limit.first else ''}recipients, and the limit is {maximum} "
            f"{limit.phrase}. Send it to fewer at once"
        )
        code = Code.REFUSE
    else:
        words = (
            f"Limit reached: {used} of {maximum} {limit.phrase} used, this message needs {asked}. "
            f"Room again at {moment(frees_at)}"
        )
        code = Code.LATER
    return Decision(code, f"limit-{limit.name}", words, limit.name, used, maximum, frees_at, help_url=link)


def moment(at: datetime) -> str:
    """`25 Nov 14:05 UTC`: the same in every zone and without a guess at whose day it is."""
    return at.astimezone(UTC).strftime("%d %b %H:%M:%S UTC").replace(":00 UTC", " UTC")


def chargeable(recipients: Sequence[str], own_domains: frozenset[str]) -> list[str]:
    """Those that cost: each address once, none of one's own company (canonical: lower case, A-labels)."""
    return [each for each in dict.fromkeys(recipients) if each.rpartition("@")[2] not in own_domains]
