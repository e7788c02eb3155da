"""Django under ASGI as fast as it is under WSGI: a request is one piece of work for one thread."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import IO, Any, TypeVar

from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.signals import request_started
from django.urls import set_script_prefix

T = TypeVar("T")

THREADS = 100
"""Requests worked on at once in a process; most of the time such a thread waits for the mail engine or the database."""


class OneThread(ASGIHandler):
    """Django's handler with the whole of a request, from its first signal to its last, in one thread of a kept pool.

    Every view of ours is synchronous. Django would make a thread for each request and hop into it for both signals, for
    each hook of a middleware and for the view.
    """

    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="request")

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """One request and its answer; a body that streams ends when the client goes."""
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        with body:
            response = await self._in_thread(self._answer, scope, body)
            if not response.streaming:
                await self.send_response(response, send)
                return
            sending = asyncio.create_task(self.send_response(response, send))
            leaving = asyncio.create_task(receive())  # after the body only a disconnect can come
            try:
                await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (sending, leaving):
                    task.cancel()
                await asyncio.gather(sending, leaving, return_exceptions=True)
                await self._in_thread(response.close)
            if not sending.cancelled():
                sending.result()

    def _answer(self, scope: Any, body: IO[bytes]) -> Any:
        set_script_prefix(get_script_prefix(scope))
        request_started.send(sender=type(self), scope=scope)
        request, refusal = self.create_request(scope, body)
        response: Any = self.get_response(request) if request is not None else refusal
        response._handler_class = type(self)  # the sender of request_finished
        if not response.streaming:
            response.close()  # what it holds is in memory by now
        return response

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        run = partial(contextvars.copy_context().run, work, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self.threads, run)
