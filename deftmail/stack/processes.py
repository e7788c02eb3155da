"""Processes by pid file: which are ours, and how to end them with everything they started.

A pid alone is not proof: numbers are given out again. A pid file therefore also holds the start time of the process in
clock ticks since boot (proc(5), stat field 22) and the boot's id.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = "DEFTMAIL_STACK"  # in the environment of every child: the name of its stack


@dataclass(frozen=True)
class Stat:
    """What proc(5) says about a process."""

    pid: int
    state: str
    parent: int
    session: int
    started: int


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def read_stat(pid: int) -> Stat | None:
    """None where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (OSError, ValueError):
        return None
    # The command name stands in parentheses and may itself hold blanks and parentheses.
    fields = text[text.rindex(")") + 2 :].split()
    return Stat(pid=pid, state=fields[0], parent=int(fields[1]), session=int(fields[3]), started=int(fields[19]))


def alive(pid: int) -> bool:
    found = read_stat(pid)
    return found is not None and found.state != "Z"


def every() -> Iterator[Stat]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            found = read_stat(int(entry.name))
            if found is not None:
                yield found


@dataclass(frozen=True)
class PidFile:
    """`<var>/run/NAME.pid`: pid, start time and boot id, one a line."""

    path: Path

    def write(self, pid: int) -> None:
        found = read_stat(pid)
        if found is not None:
            self.path.write_text(f"{pid}\n{found.started}\n{boot_id()}\n")

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def owned(self) -> Stat | None:
        """The process this file names, if it is still that very process."""
        recorded = self._recorded()
        if recorded is None:
            return None
        found = read_stat(recorded[0])
        if found is None or found.state == "Z" or found.started != recorded[1]:
            return None
        return found

    def session(self) -> int | None:
        """The session the recorded process led, also when that process is gone; None after a reboot."""
        recorded = self._recorded()
        if recorded is None:
            return None
        found = read_stat(recorded[0])
        # A kernel never gives out a pid that is still in use as a session id, so either the leader is ours,
        # or it is gone and the number can only be the old session's.
        return recorded[0] if found is None or found.started == recorded[1] else None

    def _recorded(self) -> tuple[int, int] | None:
        try:
            pid, started, boot = self.path.read_text().split()
            return (int(pid), int(started)) if boot == boot_id() else None
        except (OSError, ValueError):
            return None


def members(sessions: Iterable[int], mark: str | None = None) -> list[int]:
    """Living processes of these sessions, and those that carry this stack's mark (some daemons leave their session)."""
    wanted = set(sessions)
    needle = f"{MARK}={mark}".encode() if mark else None
    return [
        found.pid
        for found in every()
        if found.pid != os.getpid()
        and found.state != "Z"
        and (found.session in wanted or (needle is not None and _carries(found.pid, needle)))
    ]


def _carries(pid: int, needle: bytes) -> bool:
    try:
        return needle in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def send(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def wait_gone(pids: Iterable[int], seconds: float) -> list[int]:
    """Wait for processes to go; returns those that did not."""
    left = [pid for pid in pids if alive(pid)]
    deadline = time.monotonic() + seconds
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [pid for pid in left if alive(pid)]
    return left


def end_leftovers(pids_folder: Path, mark: str) -> list[str]:
    """End what a killed supervisor left running, found by its pid files; returns the names ended.

    The supervisor's own pid file is read by others and not touched here.
    """
    ended, sessions, leaders = [], [], []
    found_files = [PidFile(path) for path in sorted(pids_folder.glob("*.pid")) if path.name != "supervisor.pid"]
    for file in found_files:
        leader = file.owned()
        if leader is not None:
            ended.append(file.path.stem)
            # PostgreSQL takes SIGINT as "stop now, cleanly"; on SIGTERM it waits for its clients.
            send([leader.pid], signal.SIGINT if file.path.stem == "postgres" else signal.SIGTERM)
            leaders.append(leader.pid)
        session = file.session()
        if session is not None:
            sessions.append(session)
    wait_gone(leaders, 10)
    left = members(sessions, mark)
    send(left, signal.SIGTERM)
    left = wait_gone(left, 3)
    send(left, signal.SIGKILL)
    wait_gone(left, 3)
    for file in found_files:
        file.remove()
    return ended
