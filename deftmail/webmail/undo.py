"""Taking back what was just done to messages: remembered a few minutes, for its own person only."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from uuid import UUID

import structlog
from django.core.cache import cache
from django.utils.translation import gettext as _
from redis import RedisError

from deftmail.jmap import MailAccount, State
from deftmail.kit.errors import Unavailable

log = structlog.get_logger(__name__)

SECONDS = 600


@dataclass(frozen=True)
class Step:
    """How messages were before: `places` are (ids, folder ids), `marks` are (ids, keywords to set, to clear)."""

    places: list[tuple[list[str], list[str]]] = field(default_factory=list)
    marks: list[tuple[list[str], list[str], list[str]]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.places or self.marks)


def back_to(before: Mapping[str, State], done: Iterable[str], *, moved: bool, touched: Iterable[str]) -> Step:
    """The way back for the messages `done`: to their own folders if they were `moved`, to their own `touched` marks."""
    places: dict[tuple[str, ...], list[str]] = defaultdict(list)
    marks: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    wanted = sorted(touched)
    for id_ in done:
        state = before[id_]
        if moved:
            places[tuple(sorted(state.mailbox_ids))].append(id_)
        if wanted:
            had = tuple(word for word in wanted if word in state.keywords)
            marks[had, tuple(word for word in wanted if word not in state.keywords)].append(id_)
    return Step(
        [(ids, list(folders)) for folders, ids in places.items() if folders],
        [(ids, list(add), list(remove)) for (add, remove), ids in marks.items()],
    )


def remember(user_id: UUID | None, step: Step) -> str:
    """Keep `step`; the token goes into the toast's Undo. "" while the cache is away: the act itself is done."""
    token = secrets.token_urlsafe(16)
    try:
        cache.set(f"undo:{user_id}:{token}", asdict(step), SECONDS)
    except RedisError as error:
        log.warning("webmail.undo_not_remembered", error=type(error).__name__)
        return ""
    return token


def take(user_id: UUID | None, token: str) -> Step | None:
    """The step, once; None when it is too late or was never this person's."""
    key = f"undo:{user_id}:{token[:64]}"
    try:
        found = cache.get(key)
        cache.delete(key)
    except RedisError as error:
        raise Unavailable(_("Undo is not available at the moment. The messages are where you moved them.")) from error
    return Step(**found) if found else None


def run(account: MailAccount, step: Step) -> bool:
    """Take the step back; whether everything could be."""
    results = [account.put(ids, folders) for ids, folders in step.places]
    results += [account.set_keywords(ids, add=add, remove=remove) for ids, add, remove in step.marks]
    return all(result.ok for result in results)
