"""One supervisor: starts services as their predecessors answer, restarts what dies, ends all in order.

Each child leads a session of its own, so that Ctrl-C reaches only the supervisor. One thread keeps one child. The
supervisor adopts orphans of its children (PR_SET_CHILD_SUBREAPER), so that nothing can slip away by forking twice.
"""

import contextlib
import ctypes
import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deftmail.stack import files, processes
from deftmail.stack.errors import NotAnsweringError, StackError
from deftmail.stack.paths import Layout
from deftmail.stack.processes import PidFile
from deftmail.stack.service import Service

LOG_LIMIT = 5_000_000  # bytes; a larger log is moved to NAME.log.1 at start
BACKOFF = (0.2, 1, 2, 5, 10, 30)  # seconds before the next restart of a child that keeps dying
STEADY = 30.0  # seconds of life after which the backoff begins anew
ONCE_ATTEMPTS = 2  # a command that fails twice will fail again
FIRST_ATTEMPTS = 3  # a server that never answered is given up; one that did is restarted for ever
PR_SET_CHILD_SUBREAPER = 36  # prctl(2)

Say = Callable[[str], None]


def adopt_orphans() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def rotate(path: Path) -> None:
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_name(path.name + ".1"))


@dataclass
class Keeper:
    """Keeps one service alive. `ready` is set while its probe has passed and its process lives."""

    service: Service
    layout: Layout
    say: Say
    ready: threading.Event = field(default_factory=threading.Event)
    failure: str | None = None
    restarts: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)
    _child: "subprocess.Popen[bytes] | None" = None
    _thread: threading.Thread | None = None
    _finished: bool = False
    _answered: bool = False

    @property
    def pid_file(self) -> PidFile:
        return PidFile(self.layout.pids / f"{self.service.name}.pid")

    def start(self, before: Sequence["Keeper"]) -> None:
        self._thread = threading.Thread(target=self._run, args=(before,), name=self.service.name, daemon=True)
        self._thread.start()

    def _run(self, before: Sequence["Keeper"]) -> None:
        for other in before:
            while not other.ready.wait(0.1):
                if self._stopping.is_set():
                    return
        attempts = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._live()
            except (StackError, OSError, KeyError) as error:
                self._note(f"{self.service.name}: {error}")
            if not self._finished:
                self.ready.clear()
            if self._finished or self._stopping.is_set():
                return
            attempts = 1 if time.monotonic() - began > STEADY else attempts + 1
            if attempts >= (ONCE_ATTEMPTS if self.service.once else FIRST_ATTEMPTS) and not self._answered:
                return
            self.restarts += 1
            self._stopping.wait(BACKOFF[min(attempts, len(BACKOFF)) - 1])

    def _note(self, sentence: str) -> None:
        self.failure = sentence
        self.say(sentence)

    def _live(self) -> None:
        """One life of the child, from its preparation to its death."""
        self.service.prepare()
        child = self._spawn()
        try:
            if self.service.once:
                self._follow_once(child)
            else:
                self._follow(child)
        finally:
            self._bury(child)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        service = self.service
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        environment |= {**service.env, processes.MARK: self.layout.name}
        identity: dict[str, Any] = {}
        if service.user is not None:
            uid, gid = files.account(service.user)
            identity = {"user": uid, "group": gid, "extra_groups": files.groups_of(service.user)}
        with self.layout.log(service.name).open("ab") as log:
            child = subprocess.Popen(
                service.argv,
                env=environment,
                cwd=self.layout.var,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                umask=0o022,
                **identity,
            )
        self._child = child
        self.pid_file.write(child.pid)
        return child

    def _follow_once(self, child: "subprocess.Popen[bytes]") -> None:
        while child.poll() is None:
            if self._stopping.wait(0.05):
                return
        if child.returncode != 0:
            raise StackError(f"ended with status {child.returncode}")
        self._finished = True
        self.ready.set()

    def _follow(self, child: "subprocess.Popen[bytes]") -> None:
        pause = 0.05
        while not self._stopping.is_set() and child.poll() is None:
            if not self.ready.is_set():
                try:
                    self.service.probe()
                    if child.poll() is None:
                        self.service.bootstrap()
                        self.failure = None
                        self._answered = True
                        self.ready.set()
                        pause = 0.2
                except NotAnsweringError as error:
                    self.failure = f"{self.service.name}: {error}"
            self._stopping.wait(pause)
        if not self._stopping.is_set():
            self._note(f"{self.service.name} ended with status {child.returncode}, starting it again")
        elif child.poll() is None:
            child.send_signal(self.service.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(self.service.stop_seconds)

    def _bury(self, child: "subprocess.Popen[bytes]") -> None:
        """End whatever is left of the child's session, so that a new life finds its ports and files free."""
        left = processes.members([child.pid])
        processes.send(left, 15)
        left = processes.wait_gone(left, 2)
        processes.send(left, 9)
        child.wait()
        self.pid_file.remove()
        self._child = None

    def ask_to_stop(self) -> None:
        self._stopping.set()

    @property
    def gave_up(self) -> bool:
        return self._thread is not None and not self._thread.is_alive() and not self._finished

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    def wait_stopped(self) -> None:
        if self._thread is not None:
            self._thread.join()


class Supervisor:
    """All keepers of one stack.

    With `adopting`, this process exists for them alone: orphans become its children and are ended with the rest.
    """

    def __init__(self, layout: Layout, services: Sequence[Service], say: Say, *, adopting: bool = False) -> None:
        self.layout = layout
        self.adopting = adopting
        if adopting:
            adopt_orphans()
        self.keepers = {service.name: Keeper(service, layout, say) for service in services}
        for service in services:
            rotate(layout.log(service.name))

    def start(self) -> None:
        for keeper in self.keepers.values():
            before = [self.keepers[name] for name in keeper.service.after if name in self.keepers]
            keeper.start(before)

    def wait_ready(self, seconds: float, interrupted: threading.Event) -> bool:
        """Until every service answers. False when interrupted; raises StackError naming what does not answer."""
        deadline = time.monotonic() + seconds
        while not interrupted.is_set():
            missing = [keeper for keeper in self.keepers.values() if not keeper.ready.is_set()]
            if not missing:
                return True
            gave_up = [keeper for keeper in missing if keeper.gave_up]
            if gave_up or time.monotonic() > deadline:
                raise StackError(self._explain(gave_up or missing))
            interrupted.wait(0.05)
        return False

    def _explain(self, keepers: Sequence[Keeper]) -> str:
        parts = []
        for keeper in keepers:
            tail = log_tail(self.layout.log(keeper.service.name))
            parts.append(f"{keeper.failure or keeper.service.name + ' waits for others'}\n{tail}".rstrip())
        return "not ready:\n" + "\n".join(parts)

    def reap(self) -> None:
        """Collect adopted orphans that ended, so that no zombies gather."""
        own = {keeper.pid for keeper in self.keepers.values()}
        for found in processes.every():
            if found.parent == os.getpid() and found.state == "Z" and found.pid not in own:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(found.pid, os.WNOHANG)

    def stop(self) -> None:
        """End all: what nobody depends on first, each group at once, then whatever escaped its session."""
        left = dict(self.keepers)
        while left:
            needed = {name for keeper in left.values() for name in keeper.service.after}
            wave = [keeper for name, keeper in left.items() if name not in needed] or list(left.values())
            for keeper in wave:
                keeper.ask_to_stop()
            for keeper in wave:
                keeper.wait_stopped()
                del left[keeper.service.name]
        escaped = processes.members([], self.layout.name)
        if self.adopting:
            escaped += [found.pid for found in processes.every() if found.parent == os.getpid() and found.state != "Z"]
        processes.send(escaped, 15)
        processes.send(processes.wait_gone(escaped, 2), 9)


def log_tail(path: Path, lines: int = 15, since: int = 0) -> str:
    """The last lines of a log after byte `since`, indented; empty where there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as stream:
        stream.seek(max(since, path.stat().st_size - 20_000))
        text = stream.read().decode(errors="replace")
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
