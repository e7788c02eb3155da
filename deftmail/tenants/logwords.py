"""An act of the log as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.utils.dateparse import parse_date, parse_datetime
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from deftmail.kit.sizes import size
from deftmail.tenants.browsers import browser_words
from deftmail.tenants.models import AuditLog, scope_words

# What `<object>.<verb>` does not say well by itself.
_WORDS: dict[str, str | Promise] = {
    "session.started": gettext_lazy("Signed in"),
    "sessions.ended": gettext_lazy("Signed out every browser"),
    "password.changed": gettext_lazy("Password changed"),
    "password.reset": gettext_lazy("Password reset"),
    "company.created": gettext_lazy("Company signed up"),
    "company.renamed": gettext_lazy("Company renamed"),
    "plan.applied": gettext_lazy("Plan set"),
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

# Ceilings, as the settings name them: null means that there is none.
_CEILINGS: dict[str, str | Promise] = {
    "max_domains": gettext_lazy("Domains"),
    "max_mailboxes": gettext_lazy("Mailboxes"),
    "max_users_per_domain": gettext_lazy("Mailboxes in one domain"),
    "mailbox_quota_mb": gettext_lazy("Storage of each mailbox"),
    "quota_mb": gettext_lazy("Storage"),
    "recipients_per_mailbox_day": gettext_lazy("Recipients a day from each mailbox"),
    "recipients_per_mailbox_hour": gettext_lazy("Recipients an hour from each mailbox"),
    "recipients_per_domain_day": gettext_lazy("Recipients a day from each domain"),
    "recipients_per_minute": gettext_lazy("Recipients a minute from each mailbox"),
    "first_recipients_per_day": gettext_lazy("New recipients a day from each mailbox"),
}
# Other details whose key does not read as a word.
_NAMES: dict[str, str | Promise] = {
    **_CEILINGS,
    "agent": gettext_lazy("Browser"),
    "api_access": gettext_lazy("API access"),
    "displaced": gettext_lazy("Taken from an account that signed in with it"),
    "expires_on": gettext_lazy("Expires"),
    "joined": gettext_lazy("Joined to the person who signs in with it"),
    "privacy_version": gettext_lazy("Privacy policy"),
    "refuse_when_disabled": gettext_lazy("Incoming mail refused"),
    "scopes": gettext_lazy("May"),
    "selector": gettext_lazy("DKIM selector"),
    "terms_version": gettext_lazy("Terms"),
    "trial_ends_at": gettext_lazy("Trial ends"),
    "used_bytes": gettext_lazy("Mail stored"),
}
# Ids, which say nothing to people, and what the act itself says.
_UNSAID = frozenset({"before", "after", "own", "block", "person"})


class Change(NamedTuple):
    """One detail. before: "" where it had no value that is worth a word; title: all of it, where `after` is short."""

    name: str
    before: str
    after: str
    title: str = ""


@dataclass(frozen=True)
class LogLine:
    """row: the act, from which everything else is made; plans: names by slug."""

    row: AuditLog
    plans: Mapping[str, str] = field(default_factory=dict)

    @property
    def act(self) -> str:
        """What was done, as a phrase."""
        known = _WORDS.get(self.row.action)
        return str(known) if known is not None else self.row.action.replace(".", " ").replace("_", " ").capitalize()

    @property
    def changes(self) -> list[Change]:
        """What really changed, then the other details."""
        details: dict[str, Any] = self.row.details
        before, after = details.get("before") or {}, details.get("after") or {}
        if self.row.action == "plan.applied" and not any(before[key] for key in before.keys() - {"plan_id"}):
            # The company's first: what a plan includes stands in the settings.
            before, after = {}, {key: after.get(key) for key in ("plan_id", "trial_ends_at") if after.get(key)}
        changed = [
            Change(_name(key), self._before(before, key), self._shown(after.get(key), key))
            for key in dict.fromkeys((*before, *after))
            if before.get(key) != after.get(key)
        ]
        rest = [
            Change(_name(key), "", self._shown(value, key), str(value) if key == "agent" else "")
            for key, value in details.items()
            if key not in _UNSAID and value not in ("", None, False, [], {})
        ]
        return changed + rest

    def _before(self, before: Mapping[str, Any], key: str) -> str:
        if key not in before or (before[key] in (None, "") and key not in _CEILINGS):
            return ""
        return self._shown(before[key], key)

    def _shown(self, value: Any, key: str) -> str:
        if value is None or value == "":
            return _("unlimited") if key in _CEILINGS else _("none")
        if isinstance(value, bool):
            return _("yes") if value else _("no")
        if isinstance(value, list):
            return "; ".join(scope_words(value))[:300] if key == "scopes" else ", ".join(map(str, value))[:300]
        if key.endswith(("_mb", "_bytes")) and isinstance(value, int):
            return size(value * 1048576 if key.endswith("_mb") else value)
        if key == "plan_id":
            return self.plans.get(value, str(value))
        if key == "agent":
            return browser_words(str(value))
        if key in ("status", "role"):
            return _(str(value).capitalize())  # the words of their choices
        return _moment(str(value), key) or str(value)[:300]


def acts_called(words: str) -> list[str]:
    """The codes of the acts whose phrase holds `words`, whatever their case: for a search in the log."""
    wanted = words.casefold()
    return [code for code, phrase in _WORDS.items() if wanted in str(phrase).casefold()]


def _name(key: str) -> str:
    known = _NAMES.get(key)
    return str(known) if known is not None else key.removesuffix("_id").replace("_", " ").capitalize()


def _moment(text: str, key: str) -> str:
    """A time or day that was kept as text, in the reader's zone; "" for what is none."""
    try:
        moment = parse_datetime(text) if key.endswith("_at") else None
        day = parse_date(text) if key.endswith("_on") else None
    except ValueError:
        return ""
    if moment is not None:
        return date_format(localtime(moment), "j F Y, H:i")
    return date_format(day, "j F Y") if day is not None else ""
