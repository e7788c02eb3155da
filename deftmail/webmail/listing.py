"""What a folder shows: names, marks and the place in the list, ready for the template."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from deftmail.jmap import Address, ConversationPage, ConversationRow, Folder, Folders, Search
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
    return {name: query[name] for name in ("from", "show", "q") if query.get(name)}


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
                    url=reverse("webmail:folder", args=[key]),
                    count=0 if folder.role in ("sent", "trash") else count,
                    current=key == current,
                    depth=min(depth, 4),
                )
            )
            if depth < 20:
                add(folder.id, depth + 1)

    add(None, 0)
    return found


def targets(folders: Folders, current: str = "") -> list[FolderLink]:
    """Where conversations may be moved to from `current`."""
    return [link for link in links(folders) if link.key not in (*OUTGOING, current)]


@dataclass(frozen=True)
class Row:
    """One conversation of the list."""

    row: ConversationRow
    who: str
    url: str
    current: bool

    @property
    def ids(self) -> str:
        """The messages an act on this row is about."""
        return ",".join(self.row.ids_here or self.row.email_ids)


def rows(page: ConversationPage, key: str, own: set[str], query: dict[str, str], current: str = "") -> list[Row]:
    """The rows of a page, each with its address."""
    outgoing = key in OUTGOING
    tail = f"?{urlencode(query)}" if query else ""
    return [
        Row(
            row=row,
            who=_people(row.recipients, own) or _("(no recipient)") if outgoing else _people(row.senders, own),
            url=(
                reverse("webmail:thread", args=[key, row.thread_id])
                if key
                else reverse("webmail:search_thread", args=[row.thread_id])
            )
            + tail,
            current=row.thread_id == current,
        )
        for row in page.rows
    ]


def _people(people: Iterable[Address], own: set[str]) -> str:
    everybody = list(people)
    if len(everybody) == 1:
        return _("me") if everybody[0].email.lower() in own else everybody[0].label
    # Several people: first names suffice, as in "Priya, me, Jonas".
    names = [
        _("me") if person.email.lower() in own else person.label.split("@")[0].split(" ")[0] for person in everybody
    ]
    return ", ".join(names[:4]) if names else _("(unknown sender)")


_MARKS = {"is:unread": ("unread", True), "is:starred": ("starred", True), "has:attachment": ("has_attachment", True)}


def parse_search(text: str) -> Search:
    """The words of the search field: `from:` `to:` `subject:` `is:unread` `is:starred` `has:attachment`; else text."""
    fields: dict[str, object] = {}
    words: list[str] = []
    for word in text[:500].split():
        name, separator, value = word.partition(":")
        if word.lower() in _MARKS:
            field, flag = _MARKS[word.lower()]
            fields[field] = flag
        elif separator and value and name.lower() in ("from", "to", "subject"):
            fields["from_" if name.lower() == "from" else name.lower()] = value
        else:
            words.append(word)
    return Search(text=" ".join(words), **fields)  # type: ignore[arg-type]  # names are those of the fields above
