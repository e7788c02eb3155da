"""The one form of a password hash: `$2b$12$…`, what mail engines and Django both can check.

bcrypt reads at most 72 bytes and bcrypt 5 refuses more; forms say so (`PasswordTooLong`), nothing is cut silently.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import bcrypt
from django.contrib.auth.hashers import BCryptPasswordHasher

from deftmail.kit.database import release_connections

COST = 12
MAX_BYTES = 72
_cores = threading.BoundedSemaphore(os.cpu_count() or 2)


@contextmanager
def slowly() -> Iterator[None]:
    """Around everything that costs a core a third of a second: as many at once as there are cores, and none holds a
    database connection (outside a transaction, which keeps its own). Sixty at once would not be done sooner, only keep
    all other threads of the process from what they are in the middle of, with their connections."""
    release_connections()
    with _cores:
        yield


def fits(password: str) -> bool:
    """True when bcrypt can read the whole password (72 bytes of UTF-8, no NUL; half a surrogate pair is no UTF-8)."""
    try:
        return 0 < len(password.encode()) <= MAX_BYTES and "\0" not in password
    except UnicodeEncodeError:
        return False


def hash_password(password: str) -> str:
    """Return `$2b$12$…`. Raises ValueError over 72 bytes: check `fits` first."""
    if not fits(password):
        raise ValueError("a password is 1 to 72 bytes of UTF-8 without NUL")
    with slowly():
        return bcrypt.hashpw(password.encode(), bcrypt.gensalt(COST)).decode()


def verify_password(password: str, hashed: str) -> bool:
    """Check in constant time. False for over-long passwords and for anything that is not a bcrypt hash."""
    if not fits(password) or not hashed.startswith("$2"):
        return False
    try:
        with slowly():
            return bcrypt.checkpw(password.encode(), hashed.encode())
    except ValueError:
        return False


class Bcrypt12Hasher(BCryptPasswordHasher):
    """Django's stock bcrypt, whose stored form is `bcrypt$` + `$2b$12$…`: a mailbox and its User share one hash.

    Not BCryptSHA256: mail engines cannot check a pre-hashed password, and two hashes would double sign-in's cost.
    """

    rounds = COST

    def encode(self, password: str, salt: str) -> str:
        with slowly():
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        # bcrypt 5 raises over 72 bytes; at sign-in that is simply the wrong password. Hashes by `encode`.
        return fits(password) and super().verify(password, encoded)


def from_hash(hashed: str) -> str:
    """The Django form of a bare `$2b$` hash."""
    return f"{Bcrypt12Hasher.algorithm}${hashed}"


def bare_hash(stored: str) -> str:
    """The `$2b$…` part of Django's stored form: what `mail_users.password_hash` holds."""
    return stored.partition("$")[2]
