"""The size of a request is bounded before a byte of it is kept: Django would spool any amount first.

Pure ASGI, in front of Django: checks Content-Length, counts what really arrives (a chunked body names no length).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from deftmail.kit import problems

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Path prefix -> bytes; the first that fits counts.
LIMITS: tuple[tuple[str, int], ...] = (
    ("/api/", 64 * 1024),
    ("/mail/compose", 27 * 1024 * 1024),  # 25 MB of attachments and the form around them
    ("/engine/stalwart/hook", 64 * 1024 * 1024),  # a message of 40 MB as a JSON string
    ("/engine/", 8 * 1024 * 1024),  # what happened in a second
    ("/", 2 * 1024 * 1024),
)


def limit_of(path: str) -> int:
    """The largest body a path takes, in bytes."""
    return next(size for prefix, size in LIMITS if path.startswith(prefix))


class BodyLimit:
    """Answers 413 (RFC 9110 §15.5.14) to what is too large, without reading it to the end."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = limit_of(scope["path"])
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not length.isdigit() or int(length) > limit:
            await _too_large(scope, send, limit)
            return
        taken = 0
        over = False

        async def counted() -> MutableMapping[str, Any]:
            nonlocal taken, over
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                over = True
                # Django drops the request; what it would answer is replaced below.
                return {"type": "http.disconnect"}
            return message

        async def answered(message: MutableMapping[str, Any]) -> None:
            if not over:
                await send(message)

        await self.app(scope, counted, answered)
        if over:
            await _too_large(scope, send, limit)


async def _too_large(scope: Scope, send: Send, limit: int) -> None:
    detail = f"The request is larger than {limit} bytes. Nothing was changed."
    if scope["path"].startswith("/api/"):
        kind, body = problems.MEDIA_TYPE, json.dumps(problems.details(problems.TooLarge(detail)))
    else:
        kind, body = "text/plain; charset=utf-8", detail
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body.encode())).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})
