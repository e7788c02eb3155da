"""How full a mailbox is, what follows from it, and when its people are told. Pure; the numbers stand here."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deftmail.mailboxes.models import MailUser

LEVELS = (80, 95, 100)
"""Per cent of the quota at which its people are told, once each."""
BACK = 5
"""Per cent it must fall below a level before that level is told again: not each deleted message begins anew."""
MAIL_WAITS = timedelta(days=7)
"""How long mail for a full mailbox is kept waiting by its senders (4xx) before it is refused (5xx)."""


def percent(used_bytes: int, quota_bytes: int | None) -> int:
    """Whole per cent, rounded down; 0 without a quota. A quota of nothing is full."""
    if quota_bytes is None:
        return 0
    return used_bytes * 100 // quota_bytes if quota_bytes > 0 else 100


def level_of(share: int, told: int) -> int:
    """The level to stand at for `share` per cent when `told` was the last: up at once, down only `BACK` below."""
    reached = max((level for level in LEVELS if share >= level), default=0)
    if reached >= told:
        return reached
    return max((level for level in LEVELS if level <= told and share > level - BACK), default=reached)


def follow(mailbox: MailUser, moment: datetime) -> int:
    """Set `full_since` and `quota_told` as the row's usage and quota say; the level newly crossed, or 0.

    The caller saves both columns and tells the people.
    """
    mailbox.full_since = (mailbox.full_since or moment) if mailbox.is_full else None
    told = mailbox.quota_told
    mailbox.quota_told = level_of(percent(mailbox.used_bytes, mailbox.quota_bytes), told)
    return mailbox.quota_told if mailbox.quota_told > told else 0
