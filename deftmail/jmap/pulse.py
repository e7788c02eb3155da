"""Does anybody answer at an engine? A stopped server keeps its connections open and says nothing for ever.

A long wait for an answer is a large search or a dead server, and nothing in it tells which. So while one request waits,
another asks the engine for nothing in particular: where that is answered the wait goes on, where it is not it is over,
and for a moment everybody in this process is told so at once.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import httpcore2
import httpx2

from deftmail.jmap.errors import EngineUnavailable

PATIENCE = 2.0
"""Seconds without a byte before the engine is asked whether it lives."""
ANSWERS_WITHIN = 2.0
"""Seconds for that question, whose answer is ready at once."""
FRESH = 1.0
"""Seconds that a sign of life counts for everybody."""
QUIET = 3.0
"""Seconds in which an engine that did not answer is not asked again."""


class Pulse:
    """What is known of one engine. Safe to share between threads."""

    def __init__(self, ask: Callable[[], object]) -> None:
        """``ask`` makes the smallest request and raises HTTPError where nothing answers."""
        self._ask = ask
        self._lock = threading.Lock()
        self._heard = self._silent_until = float("-inf")
        self._silent = False

    def require(self) -> None:
        """Before a request: raise EngineUnavailable (nothing was sent) where the last question was not answered."""
        if self._silent and not self.beats():
            raise EngineUnavailable("nobody answered a moment ago", code="timeout")

    def beats(self) -> bool:
        """Whether the engine answers anything; one thread asks for all."""
        with self._lock:
            if time.monotonic() < self._silent_until:
                return False
            if time.monotonic() < self._heard + FRESH:
                return True
            try:
                self._ask()
            except httpx2.HTTPError:
                self._silent, self._silent_until = True, time.monotonic() + QUIET
            else:
                self._silent, self._heard = False, time.monotonic()
            return not self._silent


class _Stream(httpcore2.NetworkStream):
    """A connection whose reads look after the pulse while they wait."""

    def __init__(self, stream: httpcore2.NetworkStream, pulse: Pulse) -> None:
        self._stream = stream
        self._pulse = pulse

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        rest = float("inf") if timeout is None else timeout
        while rest > PATIENCE:
            try:
                return self._stream.read(max_bytes, PATIENCE)
            except httpcore2.ReadTimeout:
                if not self._pulse.beats():
                    raise
            rest -= PATIENCE
        return self._stream.read(max_bytes, rest)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._pulse)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Network(httpcore2.SyncBackend):
    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse

    def connect_tcp(self, *args: Any, **options: Any) -> httpcore2.NetworkStream:
        return _Stream(super().connect_tcp(*args, **options), self._pulse)

    def connect_unix_socket(self, *args: Any, **options: Any) -> httpcore2.NetworkStream:
        return _Stream(super().connect_unix_socket(*args, **options), self._pulse)


class WatchedTransport(httpx2.HTTPTransport):
    """httpx2's own on connections that watch: HTTP/1.1 over the Unix socket ``uds``, else HTTP/2 where it is spoken."""

    def __init__(self, uds: str | None, limits: httpx2.Limits, pulse: Pulse) -> None:
        context = httpx2.create_ssl_context(trust_env=False)
        super().__init__(verify=context)
        # httpx2 passes no network on to its pool. A test with a server that says nothing notices when this fails.
        self._pool = httpcore2.ConnectionPool(
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            http2=uds is None,
            uds=uds,
            network_backend=_Network(pulse),
        )


def asking(url: str, uds: str | None) -> Callable[[], object]:
    """The smallest request to an engine: its session without credentials. Any answer is one."""

    def ask() -> None:
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=uds, trust_env=False), timeout=ANSWERS_WITHIN) as client:
            client.get(url)

    return ask
