"""Recorded answers of both engines, and accounts that replay them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from deftmail.jmap import Access, JmapClient, MailAccount
from deftmail.jmap.testing import FakeJmap

DATA = Path(__file__).parent / "data"
STYLES = ("cyrus", "stalwart")


def recording(style: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((DATA / f"{style}.json").read_text())
    return found


def recorded(style: str, title: str, place: int = 0) -> dict[str, Any]:
    """The arguments of one recorded answer."""
    exchange = next(exchange for exchange in recording(style) if exchange["title"] == title)
    found: dict[str, Any] = exchange["response"]["methodResponses"][place][1]
    return found


def session_object(style: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / f"session_{style}.json").read_text())
    return found


def loaded(style: str) -> FakeJmap:
    """A fake that holds what was recorded."""
    fake = FakeJmap(style, username="alice@rec.test")
    fake.load(recording(style))
    return fake


Handler = Callable[[httpx2.Request], httpx2.Response]


def account_on(handler: Handler, *, headers: Any = None, refresh: Any = None, max_answer: int = 2**20) -> MailAccount:
    """An account whose session is Cyrus's and whose API requests go to ``handler``."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET" and request.url.path == "/jmap/":
            return httpx2.Response(200, json=session_object("cyrus"))
        return handler(request)

    access = Access("http://engine/jmap/", headers or {"Authorization": "Bearer t"}, "alice@rec.test", refresh=refresh)
    return MailAccount(access, JmapClient(httpx2.MockTransport(handle), max_answer=max_answer))


def answering(*responses: tuple[str, dict[str, Any]]) -> Handler:
    """A handler that gives these method answers to any request, in order of its calls."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        calls = json.loads(request.read())["methodCalls"]
        found = [[name, answer, call[2]] for (name, answer), call in zip(responses, calls, strict=False)]
        return httpx2.Response(200, json={"methodResponses": found, "sessionState": "0"})

    return handle
