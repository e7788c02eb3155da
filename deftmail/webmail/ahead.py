"""The engine is asked while we still look who asks.

A list takes the engine longer than everything else that a page does, and three questions to the database stand before
it: who is it, may he, what is his mailbox. So what a reading page will ask leaves first, for the mailbox that its
session opened last. The answer is taken only once the same mailbox has been opened in the ordinary way; whoever may not
open it any more has made the engine search in vain, and sees nothing of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from django.contrib.sessions.backends.base import SessionBase

from deftmail.jmap import MailAccount

Question = tuple[Callable[..., Any], *tuple[Any, ...]]
"""A function of a MailAccount that only reads, and its other arguments."""

_MAILBOX = "mailbox"
_threads = ThreadPoolExecutor(40, thread_name_prefix="ahead")  # as many as the engine is asked at once (jmap.transport)


def opened_last(session: SessionBase) -> str:
    """The address of the mailbox this session opened last, or ""."""
    return str(session.get(_MAILBOX, ""))


def remember(session: SessionBase, address: str) -> None:
    """Note what was opened; costs a write once a session."""
    if session.get(_MAILBOX) != address:
        session[_MAILBOX] = address


class Ahead:
    """Questions under way for one mailbox."""

    def __init__(self, address: str, account: MailAccount, questions: Iterable[Question]) -> None:
        self.address = address
        self._under_way: list[tuple[Question, Future[Any]]] = [
            (question, _threads.submit(copy_context().run, question[0], account, *question[1:]))
            for question in questions
        ]
        time.sleep(0)  # hands the interpreter over at once; else the engine would idle until our next wait

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
