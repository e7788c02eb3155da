"""What the webmail knows of limits: the meter at its foot, and whether a message may leave, asked without charging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.functional import SimpleLazyObject

from deftmail.jmap import Address
from deftmail.kit.database import DATABASE_AWAY
from deftmail.sending import counters, decisions, meters
from deftmail.sending.counters import CountersAway
from deftmail.sending.meters import NEAR, Shown
from deftmail.webmail.access import Mail


def meter_of(mail: Mail) -> Any:
    """The meter at the foot, read only where a template draws it: recipients of the day, or at 80 % whatever stops
    first. False while it is not known."""
    return SimpleLazyObject(lambda: _read(mail) or False)


def _read(mail: Mail) -> Shown | None:
    try:
        found = counters.usage_of_mailbox(mail.mailbox)
    except (CountersAway, *DATABASE_AWAY):
        return None
    first = meters.fullest(found)
    if first is not None and first.meter.percent >= NEAR:
        return first
    return meters.by_name(found).get("mailbox_day")


def why_not(mail: Mail, recipients: Sequence[Address] = ()) -> str:
    """Why a message to these may not leave now; "" when it may. Charges nothing.

    While it cannot be asked the answer is "": the door decides, and what it defers is not lost.
    """
    decision = counters.peek(mail.mailbox.email, [person.email.lower() for person in recipients])
    if decision.allowed or decision.reason == decisions.UNAVAILABLE.reason:
        return ""
    return meters.sentence(decision)
