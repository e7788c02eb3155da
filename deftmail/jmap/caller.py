"""What every group of calls shares: the account, its session, and small things worth remembering for a minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import httpx2

from deftmail.jmap.access import Access
from deftmail.jmap.answers import SetAnswer, SetResult, read_set
from deftmail.jmap.batch import Answers, Batch, Call
from deftmail.jmap.errors import MethodFailed, SetError
from deftmail.jmap.ids import check_id
from deftmail.jmap.session import Session
from deftmail.jmap.transport import TIMEOUT, JmapClient, default_client

T = TypeVar("T")

MEMORY_TTL = 60.0  # seconds that folder roles and identities are believed


def chunks(items: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


class Caller:
    """Base of the groups of calls. Cheap to make: one per web request."""

    def __init__(self, access: Access, client: JmapClient | None = None) -> None:
        self.access = access
        self.client = client or default_client()

    @property
    def session(self) -> Session:
        return self.client.session(self.access)

    def _batch(self) -> Batch:
        return Batch(self.session)

    def _run(self, batch: Batch, timeout: httpx2.Timeout = TIMEOUT) -> Answers:
        return self.client.run(self.access, batch, timeout=timeout)

    def _optional(
        self, batch: Batch, name: str, arguments: dict[str, Any], parse: Callable[[dict[str, Any]], T]
    ) -> Call[T] | None:
        """Add a call that an engine may lack."""
        try:
            return batch.call(name, arguments, parse)
        except MethodFailed:
            return None

    @staticmethod
    def _id(value: object) -> str:
        return check_id(value)

    def _set(self, method: str, arguments: dict[str, Any]) -> SetAnswer:
        """One /set call in a request of its own. Members that are None are left out."""
        batch = self._batch()
        call = batch.call(method, {key: value for key, value in arguments.items() if value is not None}, read_set)
        return self._run(batch).get(call)

    def _set_one(self, method: str, object_id: str, patch: dict[str, Any]) -> None:
        answer = self._set(method, {"update": {object_id: patch}})
        if object_id not in answer.updated:
            raise (answer.not_updated.get(object_id) or SetError("serverFail")).as_exception()

    def _update_many(self, method: str, ids: list[str], patch: dict[str, Any]) -> SetResult:
        """The same patch for many objects, as few requests as the engine's limits allow."""
        return self._many(method, ids, lambda part: {"update": dict.fromkeys(part, patch)})

    def _destroy_many(self, method: str, ids: list[str]) -> SetResult:
        return self._many(method, ids, lambda part: {"destroy": part})

    def _many(self, method: str, ids: list[str], arguments: Callable[[list[str]], dict[str, Any]]) -> SetResult:
        result = SetResult()
        limits = self.session.limits
        for part in chunks(ids, limits.objects_in_set * limits.calls_in_request):
            batch = self._batch()
            calls = [
                (piece, batch.call(method, arguments(piece), read_set)) for piece in chunks(part, limits.objects_in_set)
            ]
            answers = self._run(batch)
            for piece, call in calls:
                try:
                    answer = answers.get(call)
                except MethodFailed as error:
                    result.record(piece, frozenset(), dict.fromkeys(piece, SetError(error.type, str(error))))
                else:
                    failed = answer.not_updated | answer.not_destroyed
                    result.record(piece, answer.updated | answer.destroyed, failed)
        return result

    # Folder roles and identities change about never, and a page action should not pay a request to learn them.
    # What turns out stale is refused by the engine and looked up again by the caller.

    def _roles(self) -> dict[str, str]:
        return self._recall("roles", {})

    def _remember_roles(self, roles: dict[str, str]) -> None:
        self._remember("roles", roles)

    def _recall(self, what: str, otherwise: T) -> T:
        kept = self.client.memory.get((*self.access.key, what))
        return kept[1] if kept is not None and kept[0] > time.monotonic() else otherwise

    def _remember(self, what: str, value: object) -> None:
        self.client.remember((*self.access.key, what), (time.monotonic() + MEMORY_TTL, value))

    def _forget_roles(self) -> None:
        self._remember("roles", {})

    def _ids(self, values: Iterable[object]) -> list[str]:
        return list(dict.fromkeys(check_id(value) for value in values))
