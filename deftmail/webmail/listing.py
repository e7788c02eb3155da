"""What a folder shows: names, marks and the place in the list, ready for the template."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from django.http import QueryDict
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from deftmail.jmap import Address, ConversationPage, ConversationRow, Folder, Folders, Search, Segment
from deftmail.kit.errors import NotFound

PAGE = 50

# Role -> (name for people, icon). The engine's own names of these folders differ and are not shown.
ROLES: dict[str | None, tuple[Promise | str, str]] = {
    "inbox": (gettext_lazy("Inbox"), "inbox"),
    "drafts": (gettext_lazy("Drafts"), "file-pen"),
    "sent": (gettext_lazy("Sent"), "send"),
    "scheduled": (gettext_lazy("Scheduled"), "clock"),
    "archive": (gettext_lazy("Archive"), "archive"),
    "junk": (gettext_lazy("Junk"), "shield-alert"),
    "trash": (gettext_lazy("Trash"), "trash-2"),
}
# Folders whose rows name the recipients: everything in them is from oneself.
OUTGOING = frozenset({"sent", "drafts", "scheduled"})


def kept(query: QueryDict) -> dict[str, str]:
    """The part of a query that keeps the list where it is while a conversation is read."""
    return {name: str(query[name]) for name in ("from", "show", "q") if query.get(name)}


@dataclass(frozen=True)
class FolderLink:
    """One line of the folder list."""

    folder: Folder
    key: str
    name: str
    icon: str
    url: str
    count: int
    current: bool
    depth: int = 0
    first_own: bool = False  # the first folder a person made: a heading stands above it

    @property
    def title(self) -> str:
        """The name of the page: what is unread in the inbox is news in another tab too."""
        return f"{self.name} ({self.count})" if self.key == "inbox" and self.count else self.name


def folder_key(folder: Folder) -> str:
    """How URLs name a folder: its role where it has one of ours (stable on every engine), else its id."""
    return folder.role if folder.role and folder.role in ROLES else folder.id


def find_folder(folders: Folders, key: str) -> Folder:
    """The folder of a URL. Raises NotFound."""
    folder = folders.role(key) if key in ROLES else folders.get(key)
    if folder is None:
        raise NotFound
    return folder


def folder_name(folder: Folder) -> str:
    """The name to show."""
    return str(ROLES[folder.role][0]) if folder.role in ROLES else folder.name


def links(folders: Folders, current: str = "", *, just_read: frozenset[str] = frozenset()) -> list[FolderLink]:
    """The folder list, children below their parents. `just_read`: folders whose count is one conversation too high."""
    found: list[FolderLink] = []
    place = _place(list_url)

    def add(parent: str | None, depth: int) -> None:
        for folder in folders.children(parent):
            key = folder_key(folder)
            # Unread mail of Drafts and Sent is no news; Drafts counts what waits to be finished.
            count = folder.total_emails if folder.role == "drafts" else folder.unread_threads
            count = max(count - (folder.id in just_read), 0)
            found.append(
                FolderLink(
                    folder=folder,
                    key=key,
                    name=folder_name(folder),
                    icon=ROLES[folder.role][1] if folder.role in ROLES else "folder",
                    url=place + quote(key, safe=""),
                    count=0 if folder.role in ("sent", "trash") else count,
                    current=key == current,
                    depth=min(depth, 4),
                )
            )
            if depth < 20:
                add(folder.id, depth + 1)

    add(None, 0)
    own = next((place for place, link in enumerate(found) if not link.folder.role and not link.depth), None)
    if own is not None:
        found[own] = replace(found[own], first_own=True)
    return found


def targets(folders: Iterable[FolderLink], current: str = "") -> list[FolderLink]:
    """Where conversations may be moved to from `current`. To Junk leads an act of its own, which marks them too."""
    return [link for link in folders if link.key not in (*OUTGOING, "junk", current)]


def acts_in(key: str) -> dict[str, bool]:
    """Which acts make sense in a folder (search results, key "", take all)."""
    return {
        "archive": key not in ("archive", "drafts", "sent", "trash", "junk"),
        "junk": key not in ("junk", "sent", "drafts"),
    }


@dataclass(frozen=True)
class Row:
    """One conversation of the list."""

    row: ConversationRow
    who: str
    url: str
    current: bool
    draft_only: bool  # opens in the composer: there is nothing but a draft

    @property
    def ids(self) -> str:
        """The messages an act on this row is about, oldest first."""
        return ",".join(self.row.ids_here or self.row.email_ids)

    @property
    def all_ids(self) -> str:
        """Every message of the conversation, oldest first."""
        return ",".join(self.row.email_ids or (self.row.email_id,))

    @property
    def subject(self) -> str:
        """The subject, or words for none."""
        return self.row.subject or _("(no subject)")

    @property
    def subject_pieces(self) -> tuple[Segment, ...]:
        """The subject with what a search matched marked."""
        found = self.row.snippet.subject if self.row.snippet else ()
        return found or (Segment(self.subject),)

    @property
    def preview_pieces(self) -> tuple[Segment, ...]:
        """The beginning of the text, or the place a search matched."""
        found = self.row.snippet.preview if self.row.snippet else ()
        return found or (Segment(self.row.preview),)


def rows(page: ConversationPage, key: str, own: set[str], query: dict[str, str], current: str = "") -> list[Row]:
    """The rows of a page, each with its address."""
    tail = f"?{urlencode(query)}" if query else ""
    place = _place(thread_url, key)
    found = []
    for row in page.rows:
        # Among search results what one wrote oneself says to whom, as it does in Sent.
        mine = not key and bool(row.senders) and all(person.email.lower() in own for person in row.senders)
        who = _to(row.recipients, own) if mine or key in OUTGOING else _people(row.senders, own)
        found.append(
            Row(
                row=row,
                who=who,
                url=place + quote(row.thread_id, safe="") + tail,
                current=row.thread_id == current,
                draft_only=row.draft and row.count == 1,
            )
        )
    return found


def thread_url(key: str, thread_id: str) -> str:
    """Where a conversation is read beside its folder, or beside search results when `key` is empty."""
    if key:
        return reverse("webmail:thread", args=[key, thread_id])
    return reverse("webmail:search_thread", args=[thread_id])


def list_url(key: str) -> str:
    """The list of a folder, or the search page when `key` is empty."""
    return reverse("webmail:folder", args=[key]) if key else reverse("webmail:search")


def _place(url_of: Callable[..., str], *key: str) -> str:
    """What all addresses of one kind begin with: fifty look-ups of one route would be a tenth of a page's time."""
    return url_of(*key, "-").removesuffix("-")


def _to(people: Iterable[Address], own: set[str]) -> str:
    names = [_("me") if person.email.lower() in own else person.label for person in people]
    return _("To: %(who)s") % {"who": ", ".join(names[:4])} if names else _("(no recipient)")


def _people(people: Iterable[Address], own: set[str]) -> str:
    everybody = list(people)
    if len(everybody) == 1:
        return _("me") if everybody[0].email.lower() in own else everybody[0].label or _("(unknown sender)")
    # Several people: first names suffice, as in "Priya, me, Jonas".
    names = [_("me") if person.email.lower() in own else _first_name(person) for person in everybody]
    return ", ".join(names[:4]) if names else _("(unknown sender)")


def _first_name(person: Address) -> str:
    name = person.label.split("@")[0]
    # "Weber, Jonas" is written the other way round.
    return name.split(" ")[0].rstrip(",") or person.label


_MARKS = {
    "is:unread": ("unread", True),
    "is:read": ("unread", False),
    "is:starred": ("starred", True),
    "has:attachment": ("has_attachment", True),
    "in:anywhere": ("everywhere", True),
}
_FIELDS = {"from": "from_", "to": "to", "subject": "subject"}
_WORD = re.compile(r'(?:([A-Za-z]+):)?(?:"([^"]*)"|(\S+))')


def parse_search(text: str) -> Search:
    """The search field: words, "several words", `from:` `to:` `subject:` `is:unread|read|starred` `has:attachment`
    `in:anywhere` (Junk and Trash too)."""
    fields: dict[str, Any] = {}
    words: list[str] = []
    for match in _WORD.finditer(text[:500]):
        whole = match[0].lower()
        if whole in _MARKS:
            name, flag = _MARKS[whole]
            fields[name] = flag
        elif match[1] and (field := _FIELDS.get(match[1].lower())):
            value = match[2] if match[2] is not None else match[3]
            fields[field] = f"{fields[field]} {value}" if field in fields else value
        else:
            words.append(match[0].strip('"') if match[1] is None else match[0])
    return Search(text=" ".join(words), **fields)
