"""Ends the open sessions of one mailbox, and tells whom a process serves: a service of Cyrus' master beside imapd.

Cyrus asks for a password once; what was let in stays until its program leaves. Its own `cyr_deny` ends sessions by the
same signal, but takes the httpd processes with them, which everybody's webmail shares. And what it asks the gate says
nothing of who tries a password; its process files do, also before the sign-in, and its own user alone may read them.
Copied beside cyrus.conf and run by Debian's Python as that user, so it uses the standard library alone: `sessions.py
FOLDER ACCOUNT`, the folder of process files and whose processes may ask (and root's).

    end alice@example.com    →  how many were ended; without a name 0, which asks whether somebody listens
    client 1234              →  the address of the client of that process, or an empty line
"""

from __future__ import annotations

import errno
import ipaddress
import os
import pwd
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

LISTEN_FD = 4  # where Cyrus' master puts the listening socket of a service (master/service.h)
PROGRAMS = frozenset({"imapd", "pop3d", "timsieved"})
CALLERS = 32
"""Questions answered at once: those of sign-ins are not to wait for an ending. Further callers wait to be accepted."""
READ_WITHIN = 2.0
SECOND_LOOK = 0.5
"""Seconds after which it looks again: a sign-in that was allowed a moment before may still be on its way."""
GRACE = 5.0
"""Seconds a process has to leave after SIGTERM: in the middle of an answer to a slow reader it does not hear it."""
NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Then nothing is known of a process. That is no answer, and the asker comes again; it is not "nobody is signed in"."""


def end_sessions(folder: Path, user: str) -> int:
    """End every session of `user`; they are gone when this returns."""
    ended: set[str] = set()
    for pause in (0.0, SECOND_LOOK):
        time.sleep(pause)
        with ExitStack() as held:
            told = {}
            for entry in folder.iterdir():
                if (handle := _tell(entry, user)) is not None:
                    held.callback(os.close, handle)
                    told[entry.name] = handle
            ended |= told.keys()
            for handle in _left(told.values(), GRACE):
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            _left(told.values(), GRACE)
    return len(ended)


def _tell(entry: Path, user: str) -> int | None:
    """A handle of the process behind `entry`, told to stop; None when it does not serve `user`."""
    if (held := _hold(entry)) is None:
        return None
    handle, fields = held
    if fields[2:3] == [user]:
        with suppress(OSError):
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            return handle
    os.close(handle)
    return None


def _hold(entry: Path) -> tuple[int, list[str]] | None:
    """A handle of the process behind `entry` and what Cyrus writes of it: service, client, user, mailbox, command."""
    with ExitStack() as closing:
        try:
            # Held before its file is read: a number that was given to another process since cannot be met.
            handle = os.pidfd_open(int(entry.name))
            closing.callback(os.close, handle)
            # Killed processes leave their files behind, and their numbers come back.
            if Path(f"/proc/{entry.name}/comm").read_text().strip() in PROGRAMS:
                fields = entry.read_text(errors="replace").rstrip("\n").split("\t")
                closing.pop_all()
                return handle, fields
        except (ValueError, OverflowError):  # a file being written
            return None
        except OSError as error:  # a process that is gone
            if error.errno in NO_ROOM:
                raise
    return None


def client_of(folder: Path, pid: str) -> str:
    """The address of the client that this process serves; "" where it serves none or is none of Cyrus'."""
    if not pid.isdecimal() or (held := _hold(folder / pid)) is None:
        return ""
    handle, fields = held
    try:
        signal.pidfd_send_signal(handle, 0)  # it still lives, so what was read is its own
        # `name [address]`, or `[address]` alone where it has no name.
        return str(ipaddress.ip_address(fields[1].rpartition("[")[2].removesuffix("]")))
    except (IndexError, ValueError, OSError):
        return ""
    finally:
        os.close(handle)


def _left(handles: Iterable[int], seconds: float) -> set[int]:
    """The processes that still live after at most so many seconds."""
    left, deadline, watch = set(handles), time.monotonic() + seconds, select.poll()  # select() ends at 1,024
    for handle in left:
        watch.register(handle, select.POLLIN)
    while left and (rest := deadline - time.monotonic()) > 0:
        for handle, _event in watch.poll(rest * 1000):
            watch.unregister(handle)
            left.discard(handle)
    return left


def answer(connection: socket.socket, folder: Path, caller: int) -> None:
    """One question of one connection. Strangers are hung up on: the socket is open to every process here."""
    _pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid not in (0, caller):
        return
    connection.settimeout(READ_WITHIN)
    with connection.makefile("rb") as stream:
        line = stream.readline(1024)
    if not line.endswith(b"\n"):
        return
    word, _, about = line[:-1].decode("ascii", "replace").partition(" ")
    if word == "client":
        connection.sendall(f"{client_of(folder, about)}\n".encode())
    elif word == "end":
        # Those who wait for a client have no user either: without a name nobody is meant.
        connection.sendall(b"%d\n" % (end_sessions(folder, about) if about else 0))


def serve(listener: socket.socket, folder: Path, caller: int) -> None:
    """Answer until Cyrus' master stops us, each caller in a thread of his own."""
    free = threading.BoundedSemaphore(CALLERS)

    def attend(connection: socket.socket) -> None:
        try:
            with connection, suppress(OSError):
                answer(connection, folder, caller)
        finally:
            free.release()

    while True:
        free.acquire()
        connection, _ = listener.accept()
        threading.Thread(target=attend, args=(connection,), daemon=True).start()


def main() -> None:
    """As Cyrus' master starts it."""
    listener = socket.socket(fileno=LISTEN_FD)
    listener.setblocking(True)
    serve(listener, Path(sys.argv[1]), pwd.getpwnam(sys.argv[2]).pw_uid)


if __name__ == "__main__":
    main()
