"""An act of the log as people read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from deftmail.tenants.models import AuditLog

# What `<object>.<verb>` does not say well by itself.
_WORDS: dict[str, str | Promise] = {
    "session.started": gettext_lazy("Signed in"),
    "sessions.ended": gettext_lazy("Signed out every browser"),
    "password.changed": gettext_lazy("Password changed"),
    "password.reset": gettext_lazy("Password reset"),
    "company.created": gettext_lazy("Company signed up"),
    "company.renamed": gettext_lazy("Company renamed"),
    "plan.applied": gettext_lazy("Plan changed"),
    "api_key.created": gettext_lazy("API key made"),
    "api_key.revoked": gettext_lazy("API key revoked"),
    "api_access.granted": gettext_lazy("API access granted by the operator"),
    "api_access.withdrawn": gettext_lazy("API access withdrawn by the operator"),
    "sending.blocked": gettext_lazy("Sending stopped"),
    "sending.released": gettext_lazy("Sending allowed again"),
    "sending.limits_changed": gettext_lazy("Sending limits changed by the operator"),
    "sending.simulated": gettext_lazy("Limits tried out by the operator: what was tried is used up"),
    "operator.looked": gettext_lazy("Opened by the operator"),
    "engine.extra_erased": gettext_lazy("Left-over mailbox erased from the mail server by the operator"),
    "review.appeal_filed": gettext_lazy("Review of a block asked for"),
    "review.more_filed": gettext_lazy("Higher sending limits asked for"),
    "review.released": gettext_lazy("Review: granted"),
    "review.refused": gettext_lazy("Review: refused"),
    "person.role_changed": gettext_lazy("Role changed"),
    "person.profile_changed": gettext_lazy("Own name or time zone changed"),
    "person.recovery_requested": gettext_lazy("Recovery address asked for"),
    "person.recovery_changed": gettext_lazy("Recovery address proven"),
    "person.recovery_removed": gettext_lazy("Recovery address removed"),
    "person.recovery_withdrawn": gettext_lazy("Recovery address no longer asked for"),
    "person.email_withdrawn": gettext_lazy("New sign-in address no longer asked for"),
    "person.email_requested": gettext_lazy("New sign-in address asked for"),
    "person.email_changed": gettext_lazy("Sign-in address changed"),
    "person.address_lost": gettext_lazy("Sign-in address lost: its domain belongs to another company"),
}

# Details whose key does not read as a word.
_NAMES: dict[str, str | Promise] = {
    "agent": gettext_lazy("Browser"),
    "api_access": gettext_lazy("API access"),
    "quota_mb": gettext_lazy("Storage"),
    "used_bytes": gettext_lazy("Bytes used"),
}


@dataclass(frozen=True)
class LogLine:
    """row: the act. Everything else is made from it."""

    row: AuditLog

    @property
    def act(self) -> str:
        """What was done, as a phrase."""
        known = _WORDS.get(self.row.action)
        return str(known) if known is not None else self.row.action.replace(".", " ").replace("_", " ").capitalize()

    @property
    def changes(self) -> list[tuple[str, str, str]]:
        """(name, before, after) of what really changed; other details come with an empty before."""
        details: dict[str, Any] = self.row.details
        before, after = details.get("before") or {}, details.get("after") or {}
        changed = [
            (_name(key), _shown(before.get(key), key), _shown(after.get(key), key))
            for key in dict.fromkeys((*before, *after))
            if before.get(key) != after.get(key)
        ]
        rest = [
            (_name(key), "", _shown(value, key))
            for key, value in details.items()
            if key not in ("before", "after", "own") and value not in ("", None, False, [], {})
        ]
        return changed + rest


def _name(key: str) -> str:
    known = _NAMES.get(key)
    return str(known) if known is not None else key.removesuffix("_id").replace("_", " ").capitalize()


def _shown(value: Any, key: str) -> str:
    if value is None or value == "":
        return _("none")
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)[:300]
    if key.endswith("_mb"):
        return f"{value} MB"
    return str(value)[:300]
