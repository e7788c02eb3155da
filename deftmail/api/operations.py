"""What all operations share: the errors they can answer with, so that a caller can rely on the list."""

from __future__ import annotations

from typing import Any

from deftmail.api.schemas import Problem

EVERY = (401, 403, 429, 503)
"""No key or a wrong one; no right; too many requests; a part of ours is away."""
BODY = (400, 413, 415, 422)
"""Not JSON; too large; another media type; a member that cannot be used."""


def errors(*statuses: int) -> dict[Any, type[Problem]]:
    """The error answers of an operation, for its `response=`: those of every operation and `statuses`."""
    return {frozenset((*EVERY, *statuses)): Problem}
