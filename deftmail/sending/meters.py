"""What the meters say, worked out here so that pages, webmail and mails say the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils.formats import date_format
from django.utils.timezone import localtime, now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from deftmail.domains.models import Domain
from deftmail.mailboxes.models import MailUser
from deftmail.sending import counters
from deftmail.sending.counters import CountersAway
from deftmail.sending.limits import Decision, Meter
from deftmail.tenants.models import Tenant

NEAR = 80
"""Per cent of a limit from which people are told."""


@dataclass(frozen=True)
class Shown:
    """A meter with its sentence."""

    meter: Meter

    @property
    def used(self) -> int:
        return self.meter.used

    @property
    def maximum(self) -> int | None:
        return self.meter.maximum

    @property
    def near(self) -> bool:
        """Whether it is time to speak up."""
        return self.meter.percent >= NEAR

    @property
    def short(self) -> str:
        """Its name where there is little room."""
        return str(_SHORT[self.meter.name])

    @property
    def line(self) -> str:
        """`270 left, the next room at 14:05`."""
        left = self.meter.left
        if left is None:
            return _("No limit")
        if self.meter.frees_at is None:
            return _("%(n)s left") % {"n": f"{left:,}"}
        return _("%(n)s left, more from %(when)s") % {"n": f"{left:,}", "when": clock(self.meter.frees_at)}


def clock(moment: datetime) -> str:
    """The time in the reader's zone; with the day when it is not today."""
    at = localtime(moment)
    return date_format(at, "H:i" if at.date() == localtime(now()).date() else "j M, H:i")


def by_name(meters: Iterable[Meter]) -> dict[str, Shown]:
    """Meters for a template, by the name of their limit."""
    return {meter.name: Shown(meter) for meter in meters}


def fullest(meters: Iterable[Meter]) -> Shown | None:
    """The one that stops first; None where nothing is limited."""
    limited = [meter for meter in meters if meter.maximum is not None]
    return Shown(max(limited, key=lambda meter: meter.percent)) if limited else None


def of_mailboxes(company: Tenant, mailboxes: Sequence[MailUser]) -> dict[UUID, dict[str, Shown]] | None:
    """The meters of a page of mailboxes of one company; None while they are not known."""
    for row in mailboxes:
        row.tenant = company  # known already: not one query for each
    try:
        return {pk: by_name(found) for pk, found in counters.usage_of_mailboxes(mailboxes).items()}
    except CountersAway:
        return None


def of_domains(company: Tenant, domains: Sequence[Domain]) -> dict[UUID, dict[str, Shown]] | None:
    """The meters of domains of one company; None while they are not known."""
    for row in domains:
        row.tenant = company
    try:
        return {row.pk: by_name(counters.usage_of_domain(row)) for row in domains}
    except CountersAway:
        return None


def sentence(decision: Decision) -> str:
    """A refusal in the reader's language and zone, where one of our limits said no; else as the door says it."""
    if decision.limit == "":
        return decision.sentence.rstrip(".") + "."
    words = {"used": f"{decision.used:,}", "limit": f"{decision.maximum:,}", "what": _WHAT[decision.limit]()}
    if decision.frees_at is None:
        return _("The limit is %(limit)s %(what)s: send to fewer at once.") % words
    return _("%(used)s of %(limit)s %(what)s are used. Room again at %(when)s.") % (
        words | {"when": clock(decision.frees_at)}
    )


_SHORT = {
    "mailbox_day": gettext_lazy("Sent in 24 hours"),
    "mailbox_hour": gettext_lazy("Sent in an hour"),
    "mailbox_minute": gettext_lazy("Sent in a minute"),
    "first_day": gettext_lazy("New recipients"),
    "domain_day": gettext_lazy("Your whole domain"),
}
_WHAT = {
    "mailbox_day": lambda: _("recipients in 24 hours for this mailbox"),
    "mailbox_hour": lambda: _("recipients an hour for this mailbox"),
    "mailbox_minute": lambda: _("recipients a minute for this mailbox"),
    "first_day": lambda: _("new recipients in 24 hours for this mailbox"),
    "domain_day": lambda: _("recipients in 24 hours for the whole domain"),
}
