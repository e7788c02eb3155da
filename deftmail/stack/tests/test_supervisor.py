"""The supervisor with small programs in place of servers."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deftmail.stack import processes, supervisor
from deftmail.stack.errors import NotAnsweringError, StackError
from deftmail.stack.paths import Layout
from deftmail.stack.processes import PidFile
from deftmail.stack.service import Service
from deftmail.stack.supervisor import Supervisor

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")


class Run:
    """One supervisor of a test, and what it said."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.said: list[str] = []
        self.supervisor: Supervisor | None = None

    def start(self, *services: Service, seconds: float = 10) -> bool:
        self.supervisor = Supervisor(self.layout, services, self.said.append)
        self.supervisor.start()
        return self.supervisor.wait_ready(seconds, threading.Event())

    def pid(self, name: str) -> int | None:
        found = PidFile(self.layout.pids / f"{name}.pid").owned()
        return found.pid if found else None

    def stop(self) -> None:
        if self.supervisor is not None:
            self.supervisor.stop()
            self.supervisor = None


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setattr(supervisor, "BACKOFF", (0.05,))
    layout = Layout(var=tmp_path, run=tmp_path / "run-dir")
    layout.make()
    made = Run(layout)
    yield made
    made.stop()


def _wait(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_service_waits_for_what_it_needs(run: Run) -> None:
    order: list[str] = []
    first = Service(name="first", argv=SLEEP, bootstrap=lambda: order.append("first answers"))
    second = Service(name="second", argv=SLEEP, after=("first",), prepare=lambda: order.append("second starts"))
    assert run.start(second, first)
    assert order == ["first answers", "second starts"]


def test_a_child_that_dies_is_started_again(run: Run) -> None:
    run.start(Service(name="one", argv=SLEEP))
    before = run.pid("one")
    assert before is not None
    os.kill(before, signal.SIGKILL)
    _wait(lambda: run.pid("one") not in (None, before))
    assert run.said == ["one ended with status -9, starting it again"]


def test_what_a_dead_child_left_is_ended_before_its_next_life(run: Run) -> None:
    script = (
        "import subprocess, time; p = subprocess.Popen(['/bin/sleep', '60']); open('child', 'w').write(str(p.pid));"
    )
    run.start(Service(name="one", argv=(sys.executable, "-c", script + "time.sleep(60)")))
    note = run.layout.var / "child"
    _wait(lambda: note.exists() and note.read_text() != "")
    orphan, leader = int(note.read_text()), run.pid("one")
    assert leader is not None
    os.kill(leader, signal.SIGKILL)
    _wait(lambda: not processes.alive(orphan))


def test_a_service_is_healthy_only_when_it_answers(run: Run) -> None:
    answers = threading.Event()

    def probe() -> None:
        if not answers.is_set():
            raise NotAnsweringError("still warming up")

    with pytest.raises(StackError, match="still warming up"):
        run.start(Service(name="slow", argv=SLEEP, probe=probe), seconds=0.5)
    answers.set()
    assert run.supervisor is not None
    assert run.supervisor.wait_ready(5, threading.Event())


def test_a_server_that_never_answers_is_given_up_with_its_log(run: Run) -> None:
    def never() -> None:
        raise NotAnsweringError("nothing there")

    broken = Service(name="broken", argv=(sys.executable, "-c", "raise SystemExit('no such option')"), probe=never)
    with pytest.raises(StackError, match="no such option"):
        run.start(broken)


def test_a_command_must_end_well_before_others_start(run: Run) -> None:
    note = run.layout.var / "done"
    command = (sys.executable, "-c", f"open({str(note)!r}, 'w')")
    seen: list[bool] = []
    run.start(
        Service(name="setup", argv=command, once=True),
        Service(name="web", argv=SLEEP, after=("setup",), prepare=lambda: seen.append(note.exists())),
    )
    assert seen == [True]


def test_a_command_that_fails_twice_stops_the_start(run: Run) -> None:
    with pytest.raises(StackError, match="ended with status 3"):
        run.start(Service(name="setup", argv=(sys.executable, "-c", "raise SystemExit(3)"), once=True))


def test_stopping_goes_backwards_and_leaves_nothing(run: Run) -> None:
    note = run.layout.var / "ends"
    note.write_text("")
    script = (
        "import signal, sys, time\n"
        f"def end(*_):\n    open({str(note)!r}, 'a').write(sys.argv[1] + ' ')\n    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\nopen('ready-' + sys.argv[1], 'w')\ntime.sleep(60)"
    )

    def service(name: str, *after: str) -> Service:
        def probe() -> None:
            if not (run.layout.var / f"ready-{name}").exists():
                raise NotAnsweringError(name)

        return Service(name=name, argv=(sys.executable, "-c", script, name), after=after, probe=probe)

    run.start(service("database"), service("gate", "database"), service("web", "gate"))
    pids = [run.pid(name) for name in ("database", "gate", "web")]
    run.stop()
    assert note.read_text().split() == ["web", "gate", "database"]
    assert not [pid for pid in pids if pid is not None and processes.alive(pid)]
    assert not list(run.layout.pids.glob("*.pid"))


def test_a_child_that_will_not_end_is_killed(run: Run) -> None:
    script = "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nopen('deaf', 'w')\ntime.sleep(60)"
    run.start(Service(name="deaf", argv=(sys.executable, "-c", script), stop_seconds=0.2))
    _wait(lambda: (run.layout.var / "deaf").exists())
    pid = run.pid("deaf")
    run.stop()
    assert pid is not None
    assert not processes.alive(pid)


def test_children_do_not_hear_the_terminals_ctrl_c(run: Run) -> None:
    run.start(Service(name="one", argv=SLEEP))
    pid = run.pid("one")
    assert pid is not None
    assert os.getsid(pid) == pid != os.getsid(0)


def test_a_large_log_is_moved_aside_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LOG_LIMIT", 10)
    (tmp_path / "x.log").write_text("x" * 11)
    supervisor.rotate(tmp_path / "x.log")
    assert not (tmp_path / "x.log").exists()
    assert (tmp_path / "x.log.1").read_text() == "x" * 11
