"""A request is one piece of work for one thread, and ends with its client."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.http import FileResponse, HttpResponse, StreamingHttpResponse

from deftmail.kit import asgi
from deftmail.kit.asgi import OneThread


class Called:
    """One request to a handler whose view is `view`; the client leaves when `leaves` is set."""

    def __init__(self, view: Callable[[Any], Any]) -> None:
        self.handler = OneThread()
        self.handler.get_response = view  # type: ignore[method-assign, assignment]
        self.sent: list[dict[str, Any]] = []
        self.leaves = asyncio.Event()

    async def __call__(self, chunks: tuple[bytes, ...] = (b"",), query: bytes = b"") -> bytes:
        messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        messages[-1]["more_body"] = False

        async def receive() -> Any:
            if messages:
                return messages.pop(0)
            await self.leaves.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            self.sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": query}
        await self.handler(scope, receive, send)
        return b"".join(message.get("body", b"") for message in self.sent)


@pytest.fixture
def threads() -> Any:
    """The threads in which a request's signals were sent."""
    seen: list[tuple[str, str]] = []

    def noted(name: str) -> Any:
        return lambda **_about: seen.append((name, threading.current_thread().name))

    first, last = noted("first"), noted("last")
    request_started.connect(first)
    request_finished.connect(last)
    yield seen
    request_started.disconnect(first)
    request_finished.disconnect(last)


async def test_view_and_signals_run_in_threads_of_the_pool_and_in_one_context(threads: list[tuple[str, str]]) -> None:
    def view(request: Any) -> HttpResponse:
        threads.append(("view", threading.current_thread().name))
        return HttpResponse(request.body)

    assert await Called(view)(chunks=(b"one ", b"two")) == b"one two"
    assert [name for name, _thread in threads] == ["first", "view", "last"]
    assert threads[0][1] == threads[1][1]
    assert all(thread.startswith("request") for _name, thread in threads)


async def test_a_client_that_takes_its_time_holds_no_connection_to_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released: list[int] = []
    called = Called(lambda _request: HttpResponse(b"ok"))
    monkeypatch.setattr(asgi, "release_connections", lambda: released.append(len(called.sent)))
    await called()
    assert released == [0], "before a byte was sent"


async def test_requests_work_side_by_side() -> None:
    both = threading.Barrier(2, timeout=5)

    def view(_request: Any) -> HttpResponse:
        both.wait()
        return HttpResponse(b"ok")

    assert list(await asyncio.gather(Called(view)(), Called(view)())) == [b"ok", b"ok"]


async def test_a_file_is_sent_in_large_pieces() -> None:
    called = Called(lambda _request: FileResponse(io.BytesIO(b"x" * 500_000)))
    assert len(await called()) == 500_000
    assert len(called.sent) <= 4


async def test_a_piece_leaves_before_the_next_is_read() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"one "
        assert [message.get("body") for message in called.sent] == [None, b"one "]
        yield b"two"

    called = Called(lambda _request: StreamingHttpResponse(pieces()))
    assert await called() == b"one two"


async def test_what_a_thread_reads_from_is_not_closed_under_it() -> None:
    loop = asyncio.get_running_loop()
    ends: list[str] = []

    class Source:
        def __iter__(self) -> Iterator[bytes]:
            yield b"one"
            loop.call_soon_threadsafe(called.leaves.set)
            time.sleep(0.3)
            ends.append("read")
            yield b"two"

        def close(self) -> None:
            ends.append("closed")

    called = Called(lambda _request: StreamingHttpResponse(Source()))
    assert await asyncio.wait_for(called(), 5) == b"one"
    assert ends == ["read", "closed"]


async def test_a_stream_is_sent_and_closed(threads: list[tuple[str, str]]) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one "
        assert [name for name, _thread in threads] == ["first"], "what it reads from is still open"
        yield b"two"

    assert await Called(lambda _request: StreamingHttpResponse(pieces()))() == b"one two"
    assert [name for name, _thread in threads] == ["first", "last"]


async def test_a_stream_ends_with_its_client(threads: list[tuple[str, str]]) -> None:
    ended = False
    called = Called(lambda _request: StreamingHttpResponse(pieces()))

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal ended
        try:
            yield b"one"
            called.leaves.set()
            await asyncio.sleep(30)
        finally:
            ended = True

    assert await asyncio.wait_for(called(), 5) == b"one"
    assert ended
    assert [name for name, _thread in threads] == ["first", "last"]


async def test_what_fails_in_a_stream_is_no_end_of_it(threads: list[tuple[str, str]]) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        raise OSError("the engine is gone")

    called = Called(lambda _request: StreamingHttpResponse(pieces()))
    with pytest.raises(OSError, match="gone"):
        await called()
    assert called.sent[-1].get("more_body"), "the server breaks the connection off, so that nobody takes it for whole"
    assert [name for name, _thread in threads] == ["first", "last"]


async def test_an_address_that_is_no_text_is_refused() -> None:
    called = Called(lambda _request: HttpResponse(b"never"))
    await called(query=b"\xff")
    assert called.sent[0]["status"] == 400
