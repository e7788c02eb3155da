"""What people do to messages they have: mark, move, throw away. Always many at once (RFC 8621 §4.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from deftmail.jmap.answers import SetResult, get_reader, read_query
from deftmail.jmap.caller import chunks
from deftmail.jmap.errors import NotFound, SetError
from deftmail.jmap.mailbox import FolderCalls
from deftmail.jmap.values import as_keys, as_text

# RFC 8621 §4.1.1: printable ASCII without ( ) { ] % * " \
_KEYWORD = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]{1,255}")
_READ_PLACES = get_reader(lambda data: (as_text(data.get("id")), as_keys(data.get("mailboxIds"))))
MAX_ROUNDS = 200  # of 500 messages each, when a folder is emptied
ROUND = 500


@dataclass(frozen=True, slots=True)
class State:
    """Where a message lies and how it is marked."""

    id: str
    thread_id: str
    mailbox_ids: frozenset[str]
    keywords: frozenset[str]


_READ_STATES = get_reader(
    lambda data: State(
        as_text(data.get("id")),
        as_text(data.get("threadId")),
        as_keys(data.get("mailboxIds")),
        as_keys(data.get("keywords")),
    )
)


def pointer(*names: str) -> str:
    """A path for a PatchObject; names are escaped as in JSON Pointer (RFC 8620 §5.3)."""
    return "/".join(name.replace("~", "~0").replace("/", "~1") for name in names)


def _keyword(name: str) -> str:
    if _KEYWORD.fullmatch(name) is None:
        raise ValueError(f"not a keyword: {name!r}")
    return name.lower()


class ActionCalls(FolderCalls):
    """Changes to messages. Each answers what was done and, per id, why the rest was not."""

    def states(self, ids: Iterable[object]) -> dict[str, State]:
        """Where messages lie and how they are marked, by id: what a change is taken back to. Only those found."""
        found: dict[str, State] = {}
        for part in chunks(self._ids(ids), self.session.limits.objects_in_get):
            batch = self._batch()
            wanted = {"ids": part, "properties": ["id", "threadId", "mailboxIds", "keywords"]}
            call = batch.call("Email/get", wanted, _READ_STATES)
            found |= {state.id: state for state in self._run(batch).get(call).items}
        return found

    def put(self, ids: Iterable[object], folders: Iterable[str]) -> SetResult:
        """Have messages lie in exactly these folders, of which there is at least one."""
        places = {self._id(folder): True for folder in folders}
        return self._update_many("Email/set", self._ids(ids), {"mailboxIds": places})

    def set_keywords(self, ids: Iterable[object], *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> SetResult:
        """Set and clear keywords (``$seen``, ``$flagged`` …).

        Raises:
            InvalidId: one of ``ids`` is not an id; nothing was done.
        """
        patch: dict[str, Any] = {pointer("keywords", _keyword(name)): True for name in add}
        patch |= {pointer("keywords", _keyword(name)): None for name in remove}
        return self._update_many("Email/set", self._ids(ids), patch) if patch else SetResult(self._ids(ids))

    def mark_read(self, ids: Iterable[object], read: bool = True) -> SetResult:
        return self.set_keywords(ids, **{"add" if read else "remove": ("$seen",)})

    def star(self, ids: Iterable[object], on: bool = True) -> SetResult:
        return self.set_keywords(ids, **{"add" if on else "remove": ("$flagged",)})

    def move(self, ids: Iterable[object], to: str, from_: str | None = None) -> SetResult:
        """Move to a folder. With ``from_`` copies in further folders stay; without, the message is in ``to`` only."""
        return self._update_many("Email/set", self._ids(ids), self._place(self._id(to), from_))

    def archive(self, ids: Iterable[object], from_: str | None = None) -> SetResult:
        return self._move_to_role(ids, "archive", from_)

    def trash(self, ids: Iterable[object], from_: str | None = None) -> SetResult:
        """Move to Trash, which is made when it is missing: nothing is ever destroyed instead."""
        return self._move_to_role(ids, "trash", from_)

    def junk(self, ids: Iterable[object]) -> SetResult:
        return self._move_to_role(ids, "junk", None, {"keywords/$junk": True, "keywords/$notjunk": None})

    def not_junk(self, ids: Iterable[object]) -> SetResult:
        """Back to the inbox."""
        return self._move_to_role(ids, "inbox", None, {"keywords/$junk": None, "keywords/$notjunk": True})

    def destroy(self, ids: Iterable[object]) -> SetResult:
        """Destroy for ever, in every folder. Only for what a person asked for in these words."""
        return self._destroy_many("Email/set", self._ids(ids))

    def empty_folder(self, folder_id: str) -> SetResult:
        """Destroy what lies in Trash or Junk. A message that lies elsewhere too only leaves this folder.

        Raises:
            NotFound: no such folder, or one of another role.
        """
        folder_id = self._id(folder_id)
        folder = self.folders().get(folder_id)
        if folder is None or folder.role not in {"trash", "junk"}:
            raise NotFound("not a folder that may be emptied")
        result = SetResult()
        for _ in range(MAX_ROUNDS):
            only_here, elsewhere = self._in_folder(folder.id)
            parts = [
                self._destroy_many("Email/set", only_here),
                self._update_many("Email/set", elsewhere, {pointer("mailboxIds", folder.id): None}),
            ]
            progress = False
            for part in parts:
                result.done += part.done
                result.failed |= part.failed
                progress = progress or bool(part.done)
            if not progress:
                break
        return result

    def delete_folder(self, folder_id: str, *, mail_to_trash: bool = True) -> None:
        """Delete a folder; its mail goes to Trash first.

        Raises:
            SetFailed: ``mailboxHasEmail`` or ``mailboxHasChild`` (RFC 8621 §2.5); mail is never deleted with a folder.
        """
        folder_id = self._id(folder_id)
        for _ in range(MAX_ROUNDS if mail_to_trash else 0):
            only_here, elsewhere = self._in_folder(folder_id)
            if not (self.trash([*only_here, *elsewhere], from_=folder_id).done if only_here or elsewhere else None):
                break
        answer = self._set("Mailbox/set", {"destroy": [folder_id], "onDestroyRemoveEmails": False})
        self._forget_roles()
        if folder_id not in answer.destroyed:
            raise (answer.not_destroyed.get(folder_id) or SetError("serverFail")).as_exception()

    def _in_folder(self, folder_id: str) -> tuple[list[str], list[str]]:
        """Up to ``ROUND`` messages of a folder: those only there, and those in other folders too."""
        batch = self._batch()
        size = min(ROUND, self.session.limits.objects_in_get)
        query = batch.call("Email/query", {"filter": {"inMailbox": folder_id}, "limit": size}, read_query)
        places = batch.call("Email/get", {"#ids": query.ref("/ids"), "properties": ["id", "mailboxIds"]}, _READ_PLACES)
        found = self._run(batch).get(places).items
        here = {folder_id}
        return [id_ for id_, ids in found if ids == here], [id_ for id_, ids in found if ids != here]

    def _place(self, to: str, from_: str | None) -> dict[str, Any]:
        if from_ is None or self._id(from_) == to:
            return {"mailboxIds": {to: True}}
        return {pointer("mailboxIds", from_): None, pointer("mailboxIds", to): True}

    def _move_to_role(
        self, ids: Iterable[object], role: str, from_: str | None, keywords: dict[str, Any] | None = None
    ) -> SetResult:
        wanted = self._ids(ids)
        result = self._update_many("Email/set", wanted, self._place(self.role_id(role), from_) | (keywords or {}))
        # The folder we remembered may be gone since; then it is made and what failed is tried once more.
        again = [id_ for id_, error in result.failed.items() if error.type in {"invalidProperties", "invalidPatch"}]
        if not again:
            return result
        self._forget_roles()
        second = self._update_many("Email/set", again, self._place(self.role_id(role), from_) | (keywords or {}))
        kept = {id_: error for id_, error in result.failed.items() if id_ not in again}
        return SetResult(result.done + second.done, kept | second.failed)
