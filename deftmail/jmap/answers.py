"""Readers of the standard answers: /get, /query and /set (RFC 8620 §5.1, §5.5, §5.3) of either engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from deftmail.jmap.errors import SetError
from deftmail.jmap.values import as_optional_count, as_text, as_texts

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GetAnswer(Generic[T]):
    """``list`` and ``notFound`` of a /get."""

    state: str
    items: list[T]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """Ids in order. ``total`` is None where the engine did not count."""

    ids: tuple[str, ...]
    position: int
    total: int | None
    state: str


@dataclass(frozen=True, slots=True)
class SetAnswer:
    """What became of each object. Members that an engine leaves out or sends as null are empty here."""

    new_state: str = ""
    created: dict[str, dict[str, Any]] = field(default_factory=dict)
    updated: frozenset[str] = frozenset()
    destroyed: frozenset[str] = frozenset()
    not_created: dict[str, SetError] = field(default_factory=dict)
    not_updated: dict[str, SetError] = field(default_factory=dict)
    not_destroyed: dict[str, SetError] = field(default_factory=dict)


@dataclass(slots=True)
class SetResult:
    """The outcome of one change to many objects: what was done, and why the rest was not."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, SetError] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.failed

    def record(self, ids: Iterable[str], done: frozenset[str], failed: dict[str, SetError]) -> None:
        """Account for every id asked for: an engine that says nothing about one has not done it."""
        for id_ in ids:
            if id_ in done:
                self.done.append(id_)
            else:
                self.failed[id_] = failed.get(id_) or SetError("serverFail", "no answer for this object")


def get_reader(read: Callable[[dict[str, Any]], T]) -> Callable[[dict[str, Any]], GetAnswer[T]]:
    """A parser of a /get answer whose objects ``read`` understands."""

    def parse(data: dict[str, Any]) -> GetAnswer[T]:
        objects = data.get("list")
        items = [read(item) for item in objects if isinstance(item, dict)] if isinstance(objects, list) else []
        return GetAnswer(as_text(data.get("state")), items, as_texts(data.get("notFound")))

    return parse


def read_query(data: dict[str, Any]) -> QueryAnswer:
    position = as_optional_count(data.get("position")) or 0
    total = as_optional_count(data.get("total"))
    return QueryAnswer(as_texts(data.get("ids")), position, total, as_text(data.get("queryState")))


def _error(data: object) -> SetError:
    if not isinstance(data, dict):
        return SetError("serverFail", "malformed error")
    known = {"type", "description", "properties", "existingId"}
    existing = data.get("existingId")
    return SetError(
        type=as_text(data.get("type")) or "serverFail",
        description=as_text(data.get("description")),
        properties=as_texts(data.get("properties")),
        existing_id=existing if isinstance(existing, str) else None,
        more={key: value for key, value in data.items() if key not in known},
    )


def _errors(data: object) -> dict[str, SetError]:
    return {key: _error(value) for key, value in data.items()} if isinstance(data, dict) else {}


def read_set(data: dict[str, Any]) -> SetAnswer:
    created, updated, destroyed = data.get("created"), data.get("updated"), data.get("destroyed")
    return SetAnswer(
        new_state=as_text(data.get("newState")),
        created={k: v if isinstance(v, dict) else {} for k, v in created.items()} if isinstance(created, dict) else {},
        updated=frozenset(updated) if isinstance(updated, dict) else frozenset(),
        destroyed=frozenset(d for d in destroyed if isinstance(d, str)) if isinstance(destroyed, list) else frozenset(),
        not_created=_errors(data.get("notCreated")),
        not_updated=_errors(data.get("notUpdated")),
        not_destroyed=_errors(data.get("notDestroyed")),
    )
