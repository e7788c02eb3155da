"""The gate's health page: GET /healthz on loopback. It says whether the process serves and what it can reach."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable

from django.db import connections

from deftmail.gate.database import Threads, on_connection
from deftmail.kit import ratelimit
from deftmail.kit.tenancy import SYSTEM

WITHIN = 5.0
_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed"}


class HealthServer:
    """The smallest HTTP/1.1 server that answers one question per connection (RFC 9112 §9.6: `Connection: close`).

    200 whenever the process serves: with the database away the gate is well and answers "later"; restarting it would
    not help. What is away is named in the body.
    """

    def __init__(self, readers: Threads, figures: Callable[[], dict[str, int]]) -> None:
        self._readers = readers
        self._figures = figures

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        try:
            async with asyncio.timeout(WITHIN):
                head = await reader.readuntil(b"\r\n\r\n")
                method, path = _request_line(head)
                if path.partition("?")[0] != "/healthz":
                    await _answer(writer, 404, {})
                elif method not in ("GET", "HEAD"):
                    await _answer(writer, 405, {})
                else:
                    await _answer(writer, 200, await self._state(), body=method == "GET")
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), WITHIN)

    async def _state(self) -> dict[str, object]:
        database, redis = await asyncio.gather(
            self._asks(lambda: on_connection(_ping_database)), self._asks(_ping_redis)
        )
        return {"status": "ok" if database == redis == "ok" else "degraded", "database": database, "redis": redis,
                **self._figures()}  # fmt: skip

    async def _asks(self, ping: Callable[[], object]) -> str:
        try:
            async with asyncio.timeout(WITHIN / 2):
                await self._readers.run(ping)
        except Exception:
            return "away"
        return "ok"


def _request_line(head: bytes) -> tuple[str, str]:
    """Method and target. Raises ValueError for what is no request line."""
    method, path, _version = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
    return method, path


async def _answer(writer: asyncio.StreamWriter, status: int, content: dict[str, object], *, body: bool = True) -> None:
    raw = json.dumps(content).encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode("ascii") + (raw if body else b""))
    await writer.drain()


def _ping_database() -> None:
    with connections[SYSTEM].cursor() as cursor:
        cursor.execute("select 1")


def _ping_redis() -> None:
    ratelimit.client().ping()
