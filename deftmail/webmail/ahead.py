"""The engine is asked while we still look who asks.

A list takes the engine longer than everything else that a page does, and three questions to the database stand before
it: who is it, may he, what is his mailbox. So what a reading page will ask leaves first, for the mailbox that its
session opened last. The answer is taken only once the same mailbox has been opened in the ordinary way; whoever may not
open it any more has made the engine search in vain, once, and sees nothing of it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from deftmail.jmap import MailAccount

Question = tuple[Callable[..., Any], *tuple[Any, ...]]
"""A function of a MailAccount that only reads, and its other arguments."""

HEAD_START = 0.0007
"""Seconds in which the questions leave undisturbed. One thread runs at a time: without it our next lines would come
before the body of the request, or between its head and its body, and the engine would wait for them."""

_threads = ThreadPoolExecutor(40, thread_name_prefix="ahead")  # as many as the engine is asked at once (jmap.transport)


class Last:
    """Which mailbox each session opened last in this process: a guess, so nothing is lost with it."""

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._addresses: OrderedDict[str, str] = OrderedDict()

    def of(self, request: HttpRequest) -> str:
        """The address, or ""."""
        return self._addresses.get(_session_of(request), "")

    def remember(self, request: HttpRequest, address: str) -> None:
        """Note what was opened; those who came least lately make room."""
        session = _session_of(request)
        with self._lock:
            self._addresses[session] = address
            self._addresses.move_to_end(session)
            while len(self._addresses) > self._size:
                self._addresses.popitem(last=False)

    def forget(self, request: HttpRequest, address: str) -> None:
        """This guess did not come true; what has been noted in its place stays."""
        session = _session_of(request)
        with self._lock:
            if self._addresses.get(session) == address:
                del self._addresses[session]


def _session_of(request: HttpRequest) -> str:
    # The cookie, not the session: to read that is one of the questions that would come first.
    return request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")


last = Last()


class Ahead:
    """Questions under way for one mailbox; `confirmed` once it has been opened."""

    def __init__(self, address: str, account: MailAccount, questions: Iterable[Question]) -> None:
        self.address = address
        self.confirmed = False
        self._under_way: list[tuple[Question, Future[Any]]] = [
            (question, _threads.submit(copy_context().run, question[0], account, *question[1:]))
            for question in questions
        ]
        time.sleep(HEAD_START)

    def take(self, *question: Any) -> Future[Any] | None:
        """The answer that is under way; None when this was not asked, or no thread was free to ask it yet."""
        for known, future in self._under_way:
            if known == question and not future.cancel():
                return future
        return None

    def drop(self) -> None:
        """Nobody waits any more: what has not begun never will."""
        for _question, future in self._under_way:
            future.cancel()
