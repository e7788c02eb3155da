"""Taking servers of a stack away, whole or frozen, and giving them back."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deftmail.stack import catalogue, processes
from deftmail.stack.errors import NotAnsweringError
from deftmail.stack.service import Service
from deftmail.stack.site import Site

BACK_WITHIN = 30.0  # seconds in which the supervisor brings a killed server back


@dataclass(frozen=True)
class Outages:
    """The services of one stack that belongs to the caller alone."""

    var: Path

    def pid(self, name: str) -> int:
        """The leader of a service (`supervisor` too) at this moment."""
        found = processes.PidFile(self.var / "run" / f"{name}.pid").owned()
        assert found is not None, f"{name} does not run"
        return found.pid

    def everyone(self, name: str) -> list[int]:
        """The leader and all it started; PostgreSQL's backends lead sessions of their own, so the tree is walked."""
        children: dict[int, list[int]] = {}
        for found in processes.every():
            children.setdefault(found.parent, []).append(found.pid)
        tree = [self.pid(name)]
        for pid in tree:
            tree += children.get(pid, [])
        return tree

    @contextlib.contextmanager
    def away(self, *names: str) -> Iterator[None]:
        """Killed, connections refused; afterwards the supervisor starts them again and they answer.

        The supervisor sleeps meanwhile, or it would bring them back at once.
        """
        supervisor = self.pid("supervisor")
        os.kill(supervisor, signal.SIGSTOP)
        try:
            for name in names:
                processes.send(self.everyone(name), signal.SIGKILL)
            yield
        finally:
            os.kill(supervisor, signal.SIGCONT)
            self.wait_back(*names)

    @contextlib.contextmanager
    def frozen(self, *names: str) -> Iterator[None]:
        """Stopped in mid-air: connections open, and nobody ever says a word."""
        pids = [pid for name in names for pid in self.everyone(name)]
        processes.send(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            processes.send(pids, signal.SIGCONT)
            self.wait_back(*names)

    def kill(self, name: str) -> int:
        """kill -9 with the supervisor awake; returns the pid that was."""
        pid = self.pid(name)
        processes.send(self.everyone(name), signal.SIGKILL)
        return pid

    def wait_new(self, name: str, old: int) -> None:
        """Until the supervisor has started it anew and it answers."""
        deadline = time.monotonic() + BACK_WITHIN
        while True:
            found = processes.PidFile(self.var / "run" / f"{name}.pid").owned()
            if found is not None and found.pid != old:
                break
            assert time.monotonic() < deadline, f"{name} is not started again"
            time.sleep(0.05)
        self.wait_back(name)

    def wait_back(self, *names: str) -> None:
        """Until these services answer their own protocol."""
        deadline = time.monotonic() + BACK_WITHIN
        for service in catalogue.services(Site.load(self.var), names):
            while (trouble := self._trouble(service)) is not None:
                assert time.monotonic() < deadline, f"{service.name} is not back: {trouble}"
                time.sleep(0.05)

    def _trouble(self, service: Service) -> str | None:
        if processes.PidFile(self.var / "run" / f"{service.name}.pid").owned() is None:
            return "not started yet"
        try:
            service.probe()
        except NotAnsweringError as error:
            return str(error)
        return None
