"""Search conditions (RFC 8621 §4.4.1) and snippets that show what matched (§5)."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deftmail.jmap.ids import check_id
from deftmail.jmap.values import as_objects, as_text, straight

MAX_TERM = 1_000  # characters of one search term

_MARK = re.compile(r"<mark>(.*?)</mark>", re.DOTALL)


def _utc(when: datetime) -> str:
    """UTCDate (RFC 8620 §1.4)."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for; every given part must match. Times are aware datetimes.

    Without ``mailbox_id`` the whole mailbox but Trash and Junk is searched, with ``everywhere`` these too.
    """

    text: str = ""
    from_: str = ""
    to: str = ""
    subject: str = ""
    body: str = ""
    mailbox_id: str | None = None
    has_attachment: bool | None = None
    unread: bool | None = None
    starred: bool | None = None
    after: datetime | None = None
    before: datetime | None = None
    everywhere: bool = False

    def filter(self, left_out: list[str]) -> dict[str, Any] | None:
        """The JMAP filter; ``left_out`` are the folders not searched by default. None when there is no condition.

        Raises:
            InvalidId: ``mailbox_id`` is not an id.
        """
        conditions: list[dict[str, Any]] = []
        if self.mailbox_id is not None:
            conditions.append({"inMailbox": check_id(self.mailbox_id)})
        elif left_out and not self.everywhere:
            conditions.append({"inMailboxOtherThan": left_out})
        terms = {"text": self.text, "from": self.from_, "to": self.to, "subject": self.subject, "body": self.body}
        conditions += [{name: term.strip()[:MAX_TERM]} for name, term in terms.items() if term.strip()]
        if self.has_attachment is not None:
            conditions.append({"hasAttachment": self.has_attachment})
        for wanted, keyword, present in ((self.unread, "$seen", False), (self.starred, "$flagged", True)):
            if wanted is not None:
                conditions.append({"hasKeyword" if wanted is present else "notKeyword": keyword})
        if self.after is not None:
            conditions.append({"after": _utc(self.after)})
        if self.before is not None:
            conditions.append({"before": _utc(self.before)})
        if len(conditions) < 2:
            return conditions[0] if conditions else None
        return {"operator": "AND", "conditions": conditions}


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of plain text that matched or did not."""

    text: str
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Snippet:
    """Where it matched; empty where nothing in that part did. Plain text, so that escaping stays the template's."""

    subject: tuple[Segment, ...] = ()
    preview: tuple[Segment, ...] = ()


def segments(marked_up: str) -> tuple[Segment, ...]:
    """An engine's snippet HTML, of which only ``<mark>`` means anything, as plain text runs."""
    found: list[Segment] = []
    for place, piece in enumerate(_MARK.split(marked_up)):
        if piece:
            found.append(Segment(straight(html.unescape(piece)), marked=place % 2 == 1))
    return tuple(found)


def read_snippets(data: dict[str, Any]) -> dict[str, Snippet]:
    """Snippets by email id."""
    return {
        as_text(item.get("emailId")): Snippet(
            segments(as_text(item.get("subject"))), segments(as_text(item.get("preview")))
        )
        for item in as_objects(data.get("list"))
    }
