"""Kept-alive HTTP with as little of its own as possible, so that what is measured is the other side."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import urlsplit


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def connect(url: str) -> http.client.HTTPConnection:
    """A connection to the origin of `url`; no delay of small packets."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes | None = None,
    *,
    want: int = 200,
) -> bytes:
    """The body of the answer; fails on another status than `want`."""
    connection.request(method, path, body=body, headers=headers)
    response = connection.getresponse()
    answer = response.read()
    assert response.status == want, f"{method} {path}: {response.status} {answer[:300]!r}"
    return answer
