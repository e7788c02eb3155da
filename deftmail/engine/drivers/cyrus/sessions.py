"""Ending the open sessions of a mailbox: asked of the service beside Cyrus that may (deftmail/stack/sessions.py)."""

from __future__ import annotations

import socket

from deftmail.engine.errors import EngineUnavailable

TIMEOUT = 30.0  # seconds: some sessions leave only when they are killed


class Sessions:
    """The service at a Unix socket; "" is none. Safe to share between threads. Raises only EngineUnavailable."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __bool__(self) -> bool:
        return bool(self._path)

    def end(self, address: str, *, timeout: float = TIMEOUT) -> int:
        """End every open session of this mailbox; how many there were. "" ends none: does the service answer?"""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
                link.settimeout(timeout)
                link.connect(self._path)
                link.sendall(f"end {address}\n".encode("ascii"))
                with link.makefile("rb") as stream:
                    return int(stream.readline(32))
        except (OSError, ValueError) as error:
            raise EngineUnavailable(f"sessions at {self._path}: {error}") from error
