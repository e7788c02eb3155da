"""Recipients of messages under way: heard one by one at RCPT, needed together at DATA and END-OF-MESSAGE.

Postfix names no recipient there when there are several; it names the message by `instance`. Memory is bounded: what is
forgotten too early is charged by Postfix's own count, as recipients nobody knows.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

EXPIRES = 1800.0
"""Seconds: as long as Postfix may wait for the commands and the body of one message."""
RECIPIENTS_AT_MOST = 200_000


@dataclass
class Heard:
    """One message. `asked`: how often, also for a recipient that was heard before."""

    recipients: dict[str, None] = field(default_factory=dict)
    asked: int = 0
    last: float = 0.0


class Recipients:
    """By instance, oldest first out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, at_most: int = RECIPIENTS_AT_MOST) -> None:
        self._clock = clock
        self._at_most = at_most
        self._heard: OrderedDict[str, Heard] = OrderedDict()
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def hear(self, instance: str, recipient: str) -> None:
        """One more recipient of a message."""
        if not instance:
            return
        heard = self._heard.setdefault(instance, Heard())
        heard.asked += 1
        heard.last = self._clock()
        self._heard.move_to_end(instance)
        if recipient not in heard.recipients:
            heard.recipients[recipient] = None
            self._total += 1
        self._expire()

    def of(self, instance: str, recipient: str, count: int) -> tuple[list[str], int]:
        """The recipients known of a message, and how many more Postfix counts. `recipient`: the only one, if it is."""
        heard = self._heard.get(instance)
        known = list(heard.recipients) if heard is not None else []
        if recipient and count <= 1:
            return [recipient], 0
        return known, max(0, count - (heard.asked if heard is not None else 0))

    def forget(self, instance: str) -> None:
        """The message is through."""
        heard = self._heard.pop(instance, None)
        if heard is not None:
            self._total -= len(heard.recipients)

    def _expire(self) -> None:
        before = self._clock() - EXPIRES
        while self._heard and (self._total > self._at_most or next(iter(self._heard.values())).last < before):
            _instance, gone = self._heard.popitem(last=False)
            self._total -= len(gone.recipients)
