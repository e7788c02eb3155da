"""Ends the open sessions of one mailbox: a service of Cyrus' master beside imapd, run as Cyrus' own user.

Cyrus asks for a password once; what was let in stays until its program leaves. Its own `cyr_deny` ends sessions by the
same signal, but takes the httpd processes with them, which everybody's webmail shares. Copied beside cyrus.conf and run
by Debian's Python, so it uses the standard library alone: `sessions.py FOLDER ACCOUNT`, Cyrus' folder of process files
and whose processes may ask (and root's). A question is an address and a line feed, the answer how many were ended.
"""

from __future__ import annotations

import os
import pwd
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

LISTEN_FD = 4  # where Cyrus' master puts the listening socket of a service (master/service.h)
PROGRAMS = frozenset({"imapd", "pop3d", "timsieved"})
READ_WITHIN = 2.0
SECOND_LOOK = 0.5
"""Seconds after which it looks again: a sign-in that was allowed a moment before may still be on its way."""
GRACE = 5.0
"""Seconds a process has to leave after SIGTERM: in the middle of an answer to a slow reader it does not hear it."""


def end_sessions(folder: Path, user: str) -> int:
    """End every session of `user`; they are gone when this returns."""
    ended: set[str] = set()
    for pause in (0.0, SECOND_LOOK):
        time.sleep(pause)
        told = {entry.name: handle for entry in folder.iterdir() if (handle := _tell(entry, user)) is not None}
        ended |= told.keys()
        for handle in _left(told.values(), GRACE):
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        _left(told.values(), GRACE)
        for handle in told.values():
            os.close(handle)
    return len(ended)


def _tell(entry: Path, user: str) -> int | None:
    """A handle of the process behind `entry`, told to stop; None when it does not serve `user`."""
    try:
        # Held before its file is read: a number that was given to another process since cannot be met.
        handle = os.pidfd_open(int(entry.name))
    except (ValueError, OSError):  # a file being written, a process that is gone
        return None
    try:
        # Killed processes leave their files behind, and their numbers come back.
        program = Path(f"/proc/{entry.name}/comm").read_text().strip()
        fields = entry.read_text(errors="replace").rstrip("\n").split("\t")  # service, client, user, mailbox, command
        if program in PROGRAMS and fields[2:3] == [user]:
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            return handle
    except OSError:
        pass
    os.close(handle)
    return None


def _left(handles: Iterable[int], seconds: float) -> set[int]:
    """The processes that still live after at most so many seconds."""
    left, deadline = set(handles), time.monotonic() + seconds
    while left and (rest := deadline - time.monotonic()) > 0:
        left -= set(select.select(left, [], [], rest)[0])
    return left


def answer(connection: socket.socket, folder: Path, caller: int) -> None:
    """One question of one connection. Strangers are hung up on: the socket is open to every process here."""
    _pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid not in (0, caller):
        return
    connection.settimeout(READ_WITHIN)
    with connection.makefile("rb") as stream:
        line = stream.readline(1024)
    if line.endswith(b"\n"):
        user = line[:-1].decode("ascii", "replace")
        # No name at all is the question whether somebody listens; and those who wait for a client have none.
        connection.sendall(b"%d\n" % (end_sessions(folder, user) if user else 0))


def main() -> None:
    """Answer one after another until Cyrus' master stops us."""
    folder, caller = Path(sys.argv[1]), pwd.getpwnam(sys.argv[2]).pw_uid
    listener = socket.socket(fileno=LISTEN_FD)
    listener.setblocking(True)
    while True:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            answer(connection, folder, caller)


if __name__ == "__main__":
    main()
