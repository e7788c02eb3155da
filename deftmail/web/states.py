"""How a state is shown: tone, icon and word together, so that colour never carries the meaning alone."""

from __future__ import annotations

from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Shown(NamedTuple):
    """tone: neutral, brand, good, warn, bad · icon: a lucide name · label: the word."""

    tone: str
    icon: str
    label: str | Promise


STATES: dict[str, Shown] = {
    # domains
    "pending": Shown("neutral", "clock", _("Pending")),
    "verified": Shown("good", "badge-check", _("Verified")),
    "active": Shown("good", "circle-check", _("Active")),
    "failed": Shown("bad", "circle-x", _("Failed")),
    "degraded": Shown("warn", "triangle-alert", _("Degraded")),
    # mailboxes, tenants, people
    "disabled": Shown("neutral", "circle-minus", _("Disabled")),
    "suspended": Shown("bad", "circle-pause", _("Suspended")),
    "cancelled": Shown("neutral", "circle-off", _("Cancelled")),
    "trial": Shown("brand", "hourglass", _("Trial")),
    "invited": Shown("neutral", "mail", _("Invited")),
    "unverified": Shown("warn", "mail-question-mark", _("Not verified")),
    # work in the engine
    "provisioning": Shown("brand", "loader-circle", _("Provisioning")),
    "ready": Shown("good", "circle-check", _("Ready")),
    "deleting": Shown("neutral", "loader-circle", _("Deleting")),
    # checks
    "pass": Shown("good", "circle-check", _("Correct")),
    "warn": Shown("warn", "triangle-alert", _("Look at this")),
    "fail": Shown("bad", "circle-x", _("Wrong")),
    "missing": Shown("warn", "circle-dashed", _("Not found")),
    "unknown": Shown("neutral", "circle-question-mark", _("Not checked")),
    "error": Shown("warn", "cloud-off", _("Could not check")),
    "checking": Shown("brand", "loader-circle", _("Checking")),
    # messages
    "draft": Shown("neutral", "pencil", _("Draft")),
    "queued": Shown("neutral", "clock", _("Queued")),
    "sent": Shown("good", "send", _("Sent")),
    "delivered": Shown("good", "check-check", _("Delivered")),
    "deferred": Shown("warn", "clock-alert", _("Delayed")),
    "bounced": Shown("bad", "undo-2", _("Returned")),
    "refused": Shown("bad", "ban", _("Refused")),
    # roles
    "owner": Shown("brand", "crown", _("Owner")),
    "admin": Shown("neutral", "shield", _("Admin")),
    "user": Shown("neutral", "user", _("User")),
}


def shown(state: str) -> Shown:
    """The look of `state`; an unknown word is shown as it is, in grey."""
    return STATES.get(state) or Shown("neutral", "circle", state.replace("_", " ").capitalize())
