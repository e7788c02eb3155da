"""Decisions as Postfix would ask for them, through the real policy port, for messages that nobody sends."""

from __future__ import annotations

import multiprocessing
import socket
import time
import uuid
from dataclasses import dataclass

ANSWER_WITHIN = 30.0
PATIENCE = 30.0
"""Seconds to ask again about a message when the gate answers that it does not know now."""
QUEUE_ID = "sim-"
"""The gate does not wait for these in Postfix's queue (`gate.policy.SIMULATED`)."""
_NOT_KNOWN = "450 4.7.1 Temporarily unavailable"


@dataclass
class Tally:
    """How many messages passed, how many did not, and one of the sentences."""

    allowed: int = 0
    refused: int = 0
    sentence: str = ""

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.allowed + other.allowed, self.refused + other.refused, self.sentence or other.sentence)


def simulate(where: tuple[str, int], mailbox: str, *, messages: int, recipients: int, parallel: int) -> Tally:
    """Ask about `messages` messages to `recipients` made-up outside recipients each, from `parallel` processes.

    Raises OSError when nobody answers at the port for longer than a restart takes.
    """
    shares = [messages // parallel + (number < messages % parallel) for number in range(parallel)]
    work = [(where, mailbox, share, recipients) for share in shares if share]
    if len(work) <= 1:
        return _share(*work[0]) if work else Tally()
    with multiprocessing.get_context("spawn").Pool(len(work)) as pool:
        return sum(pool.starmap(_share, work), Tally())


def _share(where: tuple[str, int], mailbox: str, messages: int, recipients: int) -> Tally:
    tally = Tally()
    link: socket.socket | None = None
    try:
        for _ in range(messages):
            message = uuid.uuid4().hex
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    link = link or socket.create_connection(where, ANSWER_WITHIN)
                    action = _ask_about(link, mailbox, message, recipients)
                except OSError:
                    if link is not None:
                        link.close()
                    link = None
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.2)
                    continue
                # The same queue id again: what was charged although the answer was lost is not charged twice.
                if not action.startswith(_NOT_KNOWN) or time.monotonic() > deadline:
                    break
                time.sleep(0.2)
            if action == "DUNNO":
                tally.allowed += 1
            else:
                tally.refused += 1
                tally.sentence = action
    finally:
        if link is not None:
            link.close()
    return tally


def _ask_about(link: socket.socket, mailbox: str, message: str, recipients: int) -> str:
    """The first refusal, or DUNNO."""
    common = {
        "policy_context": "submission",
        "sasl_username": mailbox,
        "sender": mailbox,
        "instance": f"sim.{message}",
        "queue_id": f"{QUEUE_ID}{message}",
    }
    only = f"to{message}-0@simulated.example" if recipients == 1 else ""
    for number in range(recipients):
        if (
            action := _ask(
                link,
                common
                | {"protocol_state": "RCPT", "queue_id": "", "recipient": f"to{message}-{number}@simulated.example"},
            )
        ) != "DUNNO":
            return action  # fmt: skip
    for state in ("DATA", "END-OF-MESSAGE"):
        attributes = common | {"protocol_state": state, "recipient": only, "recipient_count": str(recipients)}
        if (action := _ask(link, attributes)) != "DUNNO":
            return action
    return "DUNNO"


def _ask(link: socket.socket, attributes: dict[str, str]) -> str:
    lines = [f"{name}={value}\n" for name, value in {"request": "smtpd_access_policy", **attributes}.items()]
    link.sendall(("".join(lines) + "\n").encode())
    answer = b""
    while not answer.endswith(b"\n\n"):
        data = link.recv(4096)
        if not data:
            raise ConnectionResetError("the policy service hung up")
        answer += data
    return answer.decode("ascii").removeprefix("action=").strip()
