"""Folders (RFC 8621 §2): found by their role, because every engine names them differently."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import AliasPath, Field

from deftmail.jmap.answers import GetAnswer, get_reader
from deftmail.jmap.caller import Caller
from deftmail.jmap.errors import MethodFailed, NotFound, SetError
from deftmail.jmap.quota import Quota, read_quotas
from deftmail.jmap.values import Count, Flag, Line, Model, OptionalText, Text

# The folders a person expects, in the order they are shown; the values are the names we give when we make one.
ROLE_NAMES = {
    "drafts": "Drafts",
    "sent": "Sent",
    "archive": "Archive",
    "junk": "Junk",
    "trash": "Trash",
    "scheduled": "Scheduled",
}
USUAL_ROLES = ("sent", "drafts", "trash", "junk", "archive")
_ORDER = {role: place for place, role in enumerate(("inbox", *ROLE_NAMES))}
MAX_FOLDERS = 5_000


class Folder(Model):
    """One Mailbox object. Counts are those of the engine."""

    id: Text
    name: Line = ""
    parent_id: OptionalText = Field(None, alias="parentId")
    role: OptionalText = None
    sort_order: Count = Field(0, alias="sortOrder")
    total_emails: Count = Field(0, alias="totalEmails")
    unread_emails: Count = Field(0, alias="unreadEmails")
    total_threads: Count = Field(0, alias="totalThreads")
    unread_threads: Count = Field(0, alias="unreadThreads")
    subscribed: Flag = Field(False, alias="isSubscribed")
    may_add: Flag = Field(False, validation_alias=AliasPath("myRights", "mayAddItems"))
    may_rename: Flag = Field(False, validation_alias=AliasPath("myRights", "mayRename"))
    may_delete: Flag = Field(False, validation_alias=AliasPath("myRights", "mayDelete"))

    @property
    def sort_key(self) -> tuple[int, str, str]:
        return (_ORDER.get(self.role or "", len(_ORDER)), self.name.casefold(), self.id)


@dataclass(frozen=True, slots=True)
class Folders:
    """All folders of a mailbox, roles first, then by name."""

    all: tuple[Folder, ...]
    state: str = ""
    quota: Quota | None = None

    @property
    def inbox(self) -> Folder | None:
        return self.role("inbox")

    def role(self, role: str) -> Folder | None:
        """The folder of a role. Two folders can claim one after a broken import: the first in order wins."""
        return next((folder for folder in self.all if folder.role == role), None)

    def get(self, folder_id: str) -> Folder | None:
        return next((folder for folder in self.all if folder.id == folder_id), None)

    def children(self, folder_id: str | None) -> tuple[Folder, ...]:
        """The folders directly below one, or at the top for None; one whose parent is missing counts as at the top."""
        known = {folder.id for folder in self.all}
        return tuple(
            folder for folder in self.all if (folder.parent_id if folder.parent_id in known else None) == folder_id
        )


_read_folders = get_reader(Folder.model_validate)

GET_ALL: dict[str, Any] = {"ids": None}


def folder_set(answer: GetAnswer[Folder], quota: Quota | None = None) -> Folders:
    folders = sorted((f for f in answer.items[:MAX_FOLDERS] if f.id), key=lambda folder: folder.sort_key)
    return Folders(tuple(folders), answer.state, quota)


def read_folders(data: dict[str, Any]) -> Folders:
    return folder_set(_read_folders(data))


class FolderCalls(Caller):
    """What can be done with folders."""

    def folders(self, quota: bool = False) -> Folders:
        """All folders, with the quota when asked for; one request."""
        batch = self._batch()
        mailboxes = batch.call("Mailbox/get", GET_ALL, _read_folders)
        quotas = self._optional(batch, "Quota/get", {"ids": None}, read_quotas) if quota else None
        answers = self._run(batch)
        found = folder_set(answers.get(mailboxes), answers.maybe(quotas))
        self._remember_roles({f.role: f.id for f in reversed(found.all) if f.role})
        return found

    def role_id(self, role: str) -> str:
        """The id of the folder of a role, which is made when it is missing."""
        known = self._roles().get(role)
        if known is None:
            folder = self.ensure_roles((role,)).role(role)
            if folder is None:
                raise NotFound(f"no folder for {role}")
            known = folder.id
        return known

    def ensure_roles(self, roles: Iterable[str] = USUAL_ROLES) -> Folders:
        """Make the folders that are missing. Two callers at once are no harm: the second finds what the first made."""
        roles = tuple(roles)
        folders = self.folders()
        for attempt in range(3):
            missing = [role for role in roles if folders.role(role) is None]
            if not missing:
                break
            self._make_roles(folders, missing, attempt)
            folders = self.folders()
        return folders

    def _make_roles(self, folders: Folders, roles: list[str], attempt: int) -> None:
        """Create, or give the role to a folder of that name that has none. Errors show in the next look."""
        update: dict[str, Any] = {}
        create: dict[str, Any] = {}
        for role in roles:
            name = ROLE_NAMES[role]
            taken = next((f for f in folders.children(None) if f.name.casefold() == name.casefold()), None)
            if taken is not None and taken.role is None and attempt == 0:
                update[taken.id] = {"role": role, "isSubscribed": True}
                continue
            # An engine that refuses to give a role to an existing folder gets a new one beside it.
            create[role] = {
                "name": f"{name} {attempt + 1}" if taken is not None else name,
                "role": role,
                "isSubscribed": True,
            }
        self._set("Mailbox/set", {"create": create or None, "update": update or None})

    def create_folder(self, name: str, parent_id: str | None = None) -> str:
        """Make a folder; answers its id.

        Raises:
            SetFailed: among others ``alreadyExists``, which both engines' answers become when the name is taken.
        """
        create = {"f": {"name": name, "parentId": parent_id and self._id(parent_id), "isSubscribed": True}}
        answer = self._set("Mailbox/set", {"create": create})
        if "f" in answer.created:
            return str(answer.created["f"].get("id", ""))
        error = answer.not_created.get("f") or SetError("serverFail")
        # Cyrus only says which property it did not like.
        if error.type == "invalidProperties" and error.properties == ("name",):
            error = SetError("alreadyExists", properties=error.properties)
        raise error.as_exception()

    def rename_folder(self, folder_id: str, name: str) -> None:
        """Raises NotFound or SetFailed."""
        self._set_one("Mailbox/set", self._id(folder_id), {"name": name})

    def quota(self) -> Quota | None:
        """The storage quota, None when the engine has none for this mailbox."""
        batch = self._batch()
        try:
            call = batch.call("Quota/get", {"ids": None}, read_quotas)
        except MethodFailed:
            return None
        return self._run(batch).get(call)
