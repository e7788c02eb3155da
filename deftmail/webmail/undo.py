"""Taking back what was just done to messages: remembered a few minutes, for its own person only."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from uuid import UUID

from django.core.cache import cache

SECONDS = 600


@dataclass(frozen=True)
class Step:
    """The reverse of an act: move `ids` from one folder to another, set and clear keywords."""

    ids: list[str]
    to: str = ""
    from_: str = ""
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


def remember(user_id: UUID | None, step: Step) -> str:
    """Keep `step`; the token goes into the toast's Undo."""
    token = secrets.token_urlsafe(16)
    cache.set(f"undo:{user_id}:{token}", asdict(step), SECONDS)
    return token


def take(user_id: UUID | None, token: str) -> Step | None:
    """The step, once; None when it is too late or was never this person's."""
    key = f"undo:{user_id}:{token[:64]}"
    found = cache.get(key)
    cache.delete(key)
    return Step(**found) if found else None
