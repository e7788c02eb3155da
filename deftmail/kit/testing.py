"""Helpers of tests in every room."""

from __future__ import annotations

import bcrypt

from deftmail.kit.passwords import Bcrypt12Hasher

GOOD_PASSWORD = "plum orbit ledger quay"


class CheapHasher(Bcrypt12Hasher):
    """bcrypt at its lowest cost, same form: the suite makes hundreds of users. Cost 12 has a test of its own."""

    rounds = 4

    def must_update(self, encoded: str) -> bool:
        return False


def cheap_hash(password: str) -> str:
    """A bare `$2b$04$` hash for rows made directly."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
