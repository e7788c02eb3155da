"""With which password each of Postfix's processes let in the client it serves.

A submission session may last for hours, and its password is asked for once. Every message of it is decided anew, so a
new password ends it there: the process that asked for the password (its pid, from the socket) is the one that asks
about the message (its pid begins the `instance`).
"""

from __future__ import annotations

from collections import OrderedDict

KEPT_AT_MOST = 10_000  # a process serves one client at a time


class SignedIn:
    """What the password socket noted, for the policy service. Of what came before a restart nothing is known."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[str, str]] = OrderedDict()

    def note(self, pid: int, address: str, password_hash: str) -> None:
        """This process let the mailbox in, with the password of this hash."""
        self._kept[pid] = address, password_hash
        self._kept.move_to_end(pid)
        while len(self._kept) > KEPT_AT_MOST:
            self._kept.popitem(last=False)

    def is_outdated(self, instance: str, address: str, password_hash: str) -> bool:
        """Whether the client of that request (`<pid>.<seconds>.<fraction>.<number>`, hexadecimal) signed in to this
        mailbox with a password that it no longer has."""
        try:
            found = self._kept.get(int(instance.partition(".")[0], 16))
        except ValueError:
            return False
        return found is not None and found[0] == address and found[1] != password_hash
