"""Django under ASGI as fast as it is under WSGI: a request is one piece of work for one thread."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import IO, Any, TypeVar

from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.signals import request_started
from django.http import FileResponse
from django.urls import set_script_prefix

from deftmail.kit.database import release_connections

T = TypeVar("T")

THREADS = 100
"""Requests worked on at once in a process; most of the time such a thread waits for the mail engine or the database."""


class OneThread(ASGIHandler):
    """Django's handler with the whole of a request, first signal, middleware and view, in one thread of a kept pool.

    Every view of ours is synchronous. Django would make a thread for each request and hop into it for both signals, for
    each hook of a middleware and for the view.
    """

    chunk_size = 2**18  # bytes handed to the server at once: a page is one piece
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="request")

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """One request and its answer; one that streams ends when the client goes."""
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        in_thread = partial(self._in_thread, contextvars.copy_context())
        with body:
            response = await in_thread(self._answer, scope, body)
            if response.streaming and not response.is_async:
                response.streaming_content = self._pieces(in_thread, iter(response.streaming_content))
            try:
                await (
                    self._stream(response, receive, send) if response.streaming else self.send_response(response, send)
                )
            finally:
                await in_thread(response.close)

    async def _stream(self, response: Any, receive: Any, send: Any) -> None:
        sending = asyncio.create_task(self.send_response(response, send))
        leaving = asyncio.create_task(receive())  # after the body only a disconnect can come
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
        if not sending.cancelled():
            sending.result()

    async def _pieces(self, in_thread: Callable[..., Awaitable[T]], pieces: Iterator[T]) -> AsyncIterator[T]:
        """Each as it comes: of an ordinary iterator Django would collect everything before the first byte leaves."""
        while True:
            reading = asyncio.ensure_future(in_thread(next, pieces, None))
            try:
                piece = await asyncio.shield(reading)
            except asyncio.CancelledError:
                await asyncio.wait((reading,))  # what a thread reads from is not closed under it
                raise
            if piece is None:
                return
            yield piece

    def _answer(self, scope: Any, body: IO[bytes]) -> Any:
        set_script_prefix(get_script_prefix(scope))
        request_started.send(sender=type(self), scope=scope)
        request, refusal = self.create_request(scope, body)
        response: Any = self.get_response(request) if request is not None else refusal
        response._handler_class = type(self)  # the sender of request_finished
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        release_connections()  # a client may take its answer as slowly as it likes
        return response

    async def _in_thread(self, context: contextvars.Context, work: Callable[..., T], *arguments: object) -> T:
        run = partial(context.run, work, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self.threads, run)
