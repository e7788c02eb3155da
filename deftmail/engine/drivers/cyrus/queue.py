"""What Postfix still holds for an address, so that nobody gets the mail of whoever had the address before.

Mail that was taken and could not be delivered yet (a full mailbox, Cyrus away) waits for days, and is tried again under
its address. Once the mailbox is gone Cyrus refuses it for good and the sender hears of it; until then no new mailbox is
made under that name. Everybody may list Postfix's queue and ask for another try (postqueue(1)): no right is needed.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Any

from deftmail.engine.errors import EngineBusy, EngineUnavailable
from deftmail.mailproto.addresses import base_address

POSTQUEUE = "/usr/sbin/postqueue"
ANSWERS_WITHIN = 20.0  # seconds; a queue that takes longer to list is tried again later
AT_ONCE = 100  # messages asked for in one look: each is a process
TRIES = (0.1, 0.2, 0.4, 0.8, 1.5)
"""Seconds between looks whether a refusal has reached the queue; then the job comes again later."""


class MailQueue:
    """The queue of one Postfix; `configuration` is its folder, "" the system's."""

    def __init__(self, configuration: str = "", command: Sequence[str] = (POSTQUEUE,)) -> None:
        self._command = (*command, *(("-c", configuration) if configuration else ()))

    def holding(self, address: str) -> list[str]:
        """Ids of the messages that wait for this mailbox. Raises EngineUnavailable when Postfix does not tell."""
        wanted = address.lower()
        found = []
        for message in self._listed():
            recipients = message.get("recipients") or ()
            if any(base_address(str(each.get("address", ""))).lower() == wanted for each in recipients):
                found.append(str(message["queue_id"]))
        return found

    def let_go(self, address: str) -> None:
        """Have what waits for a mailbox that does not exist tried now, and so refused.

        Raises EngineBusy while some of it is still there, EngineUnavailable when Postfix does not answer.
        """
        for wait in (*TRIES, None):
            held = self.holding(address)
            if not held:
                return
            if wait is None:
                raise EngineBusy(f"{len(held)} messages for an earlier {address} are still in the queue")
            self.retry(held)
            time.sleep(wait)

    def retry(self, queue_ids: Sequence[str]) -> None:
        """Ask for another try of these messages, at most `AT_ONCE` of them. Raises EngineUnavailable."""
        for queue_id in queue_ids[:AT_ONCE]:
            self._run("-i", queue_id)

    def _listed(self) -> Iterator[dict[str, Any]]:
        for line in self._run("-j").splitlines():
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict) and "queue_id" in message:
                yield message

    def _run(self, *arguments: str) -> bytes:
        try:
            done = subprocess.run(
                [*self._command, *arguments], capture_output=True, check=False, timeout=ANSWERS_WITHIN
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EngineUnavailable(f"postqueue: {error}") from error
        if done.returncode != 0:
            raise EngineUnavailable(f"postqueue: {done.stderr.decode(errors='replace').strip()[:200]}")
        return done.stdout
