"""Bearer tokens by which the web acts as a mailbox: a JWT (RFC 7519) with HS256, which Cyrus checks by a shared key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from deftmail.engine.errors import EngineAuthFailed

# Cyrus compares with a clock that ticks more coarsely; a token of this very second was refused about once in 500.
BACKDATE = 5  # seconds
# Cyrus takes a token for 300 s after its `iat` (http_jwt_max_age); a request made with it may take a while.
RENEW_AFTER = 200.0  # seconds
MAX_TOKENS = 5_000


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")  # RFC 7515 §2


class TokenSource:
    """Makes tokens and keeps each for a few minutes. Safe to share between threads."""

    def __init__(self, key: str, *, clock: Callable[[], float] = time.time) -> None:
        """`key` is base64, as in the file Cyrus reads."""
        self._key = base64.b64decode(key)
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, str]] = OrderedDict()

    def token(self, address: str) -> str:
        """A token that is good for at least 90 seconds. Raises EngineAuthFailed when no key is set."""
        if not self._key:
            raise EngineAuthFailed("DEFTMAIL_CYRUS_JWT_KEY is not set")
        now = self._clock()
        with self._lock:
            made, token = self._kept.get(address, (0.0, ""))
            # A clock that was set back must not keep a token for ever.
            if 0 <= now - made < RENEW_AFTER:
                return token
            token = self._sign(address, int(now) - BACKDATE)
            self._kept[address] = (now, token)
            self._kept.move_to_end(address)
            while len(self._kept) > MAX_TOKENS:
                self._kept.popitem(last=False)
            return token

    def forget(self, address: str) -> None:
        """Make a new token at the next request: this one was refused."""
        with self._lock:
            self._kept.pop(address, None)

    def _sign(self, address: str, issued_at: int) -> str:
        header = _b64(b'{"alg":"HS256","typ":"JWT"}')
        # Exactly these two claims: Cyrus refuses a token with any other.
        payload = _b64(json.dumps({"sub": address, "iat": issued_at}, separators=(",", ":")).encode())
        signature = _b64(hmac.new(self._key, header + b"." + payload, hashlib.sha256).digest())
        return b".".join((header, payload, signature)).decode()
