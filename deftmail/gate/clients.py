"""From which address a password is tried in IMAP: asked of the service beside Cyrus (deftmail/stack/sessions.py).

saslauthd's protocol names no client, but its socket names the process that asks, and Cyrus writes down whom each of its
processes serves. Nothing is kept: a process serves one client after another.
"""

from __future__ import annotations

import asyncio
import time
from ipaddress import ip_address

import structlog

log = structlog.get_logger(__name__)

WITHIN = 1.0
"""Seconds, of which an answer takes a thousandth; then the sign-in goes on and is counted by its account alone. A flood
of tries slows this too and must not get past the limit so, hence no less."""
AT_ONCE = 16
"""Questions; further ones wait, within their time."""
SAY_AGAIN = 60.0
"""Seconds between two complaints in the log: there is one reason for all sign-ins."""


class Clients:
    """The service at a Unix socket; "" is none, and knows nobody."""

    def __init__(self, path: str = "") -> None:
        self._path = path
        self._places = asyncio.Semaphore(AT_ONCE)
        self._said = float("-inf")

    async def address_of(self, pid: int) -> str | None:
        """The address of the client that Cyrus' process `pid` serves at this moment; None when nobody can tell."""
        if not self._path:
            return None
        try:
            async with asyncio.timeout(WITHIN), self._places:
                answer = await self._ask(pid)
            if not answer.endswith("\n"):
                raise ConnectionError("no answer")
            return str(ip_address(answer[:-1])) if answer != "\n" else None
        except (OSError, ValueError) as error:  # TimeoutError is an OSError
            if time.monotonic() - self._said > SAY_AGAIN:
                self._said = time.monotonic()
                log.warning("client_unknown", error=type(error).__name__)
            return None

    async def _ask(self, pid: int) -> str:
        reader, writer = await asyncio.open_unix_connection(self._path)
        try:
            writer.write(f"client {pid}\n".encode())
            return (await reader.readline()).decode("ascii")
        finally:
            writer.close()
