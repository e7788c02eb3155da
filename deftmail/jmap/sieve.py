"""One Sieve script per mailbox: RFC 9661 on one engine, an older draft under Cyrus's own name on the other.

VacationResponse is never used: asking for it kills a process of one engine, and the script covers it on both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deftmail.jmap.answers import get_reader, read_set
from deftmail.jmap.blob import BlobCalls
from deftmail.jmap.errors import SetError
from deftmail.jmap.values import as_flag, as_text

SCRIPT = "deftmail"
MAX_SCRIPT = 1024 * 1024  # bytes we are willing to read


@dataclass(frozen=True, slots=True)
class Script:
    id: str
    name: str
    blob_id: str
    active: bool


def _script(data: dict[str, Any]) -> Script:
    return Script(
        as_text(data.get("id")), as_text(data.get("name")), as_text(data.get("blobId")), as_flag(data.get("isActive"))
    )


_read_scripts = get_reader(_script)


class SieveCalls(BlobCalls):
    """Reading and replacing the script."""

    def scripts(self) -> list[Script]:
        batch = self._batch()
        call = batch.call("SieveScript/get", {"ids": None}, _read_scripts)
        return self._run(batch).get(call).items

    def sieve_get(self, name: str = SCRIPT) -> str | None:
        """The text of our script, None when there is none."""
        script = next((s for s in self.scripts() if s.name == name), None)
        if script is None:
            return None
        return self.download(script.blob_id, "script", "application/sieve").read(MAX_SCRIPT).decode("utf-8", "replace")

    def sieve_put(self, text: str | None, name: str = SCRIPT) -> None:
        """Make ``text`` the active script, or with None remove ours.

        Raises:
            InvalidScript: the engine does not understand it; the old script stays active.
        """
        old = next((s for s in self.scripts() if s.name == name), None)
        if text is None:
            if old is not None:
                self._remove(old)
            return
        blob = self.upload(text.encode(), "application/sieve")
        if old is None:
            create = {"s": {"name": name, "blobId": blob.id}}
            answer = self._set("SieveScript/set", {"create": create, "onSuccessActivateScript": "#s"})
            done, error = "s" in answer.created, answer.not_created.get("s")
        else:
            update = {old.id: {"blobId": blob.id}}
            answer = self._set("SieveScript/set", {"update": update, "onSuccessActivateScript": old.id})
            done, error = old.id in answer.updated, answer.not_updated.get(old.id)
        if not done:
            raise (error or SetError("serverFail")).as_exception()

    def _remove(self, script: Script) -> None:
        batch = self._batch()
        if script.active:
            # An active script cannot be destroyed (RFC 9661 §2.4); the two engines switch it off by different words.
            off = {"onSuccessDeactivateScript": True} if self.session.is_stalwart else {"onSuccessActivateScript": None}
            batch.call("SieveScript/set", off, read_set)
        call = batch.call("SieveScript/set", {"destroy": [script.id]}, read_set)
        answer = self._run(batch).get(call)
        if script.id not in answer.destroyed:
            raise (answer.not_destroyed.get(script.id) or SetError("serverFail")).as_exception()
