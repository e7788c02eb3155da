"""A pid file proves a process only together with its start time and the boot."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deftmail.stack import processes
from deftmail.stack.processes import PidFile


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    child = subprocess.Popen(["/bin/sleep", "60"], start_new_session=True)
    yield child
    child.kill()
    child.wait()


def test_a_process_is_ours_while_it_lives(tmp_path: Path, sleeper: "subprocess.Popen[bytes]") -> None:
    file = PidFile(tmp_path / "x.pid")
    file.write(sleeper.pid)
    found = file.owned()
    assert found is not None
    assert (found.pid, found.session) == (sleeper.pid, sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    assert file.owned() is None


def test_a_pid_given_to_another_process_is_not_ours(tmp_path: Path, sleeper: "subprocess.Popen[bytes]") -> None:
    file = PidFile(tmp_path / "x.pid")
    file.write(sleeper.pid)
    pid, started, boot = file.path.read_text().split()
    file.path.write_text(f"{pid}\n{int(started) - 1}\n{boot}\n")
    assert file.owned() is None
    assert file.session() is None


def test_a_pid_of_another_boot_is_not_ours(tmp_path: Path, sleeper: "subprocess.Popen[bytes]") -> None:
    file = PidFile(tmp_path / "x.pid")
    file.write(sleeper.pid)
    pid, started, _ = file.path.read_text().split()
    file.path.write_text(f"{pid}\n{started}\nanother-boot\n")
    assert file.owned() is None
    assert file.session() is None


@pytest.mark.parametrize("content", ["", "12", "a b c", "1 2 3 4"])
def test_a_broken_pid_file_names_nothing(tmp_path: Path, content: str) -> None:
    file = PidFile(tmp_path / "x.pid")
    file.path.write_text(content)
    assert file.owned() is None


def test_leftovers_end_with_what_they_started_and_strangers_stay(tmp_path: Path) -> None:
    # The leader is gone, its child lives on in its session: what a killed daemon leaves.
    script = "import subprocess, os; print(subprocess.Popen(['/bin/sleep', '60']).pid, flush=True); os._exit(0)"
    leader = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    PidFile(tmp_path / "one.pid").write(leader.pid)
    orphaned = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    assert orphaned.stdout is not None
    PidFile(tmp_path / "two.pid").write(orphaned.pid)
    child = int(orphaned.stdout.readline())
    orphaned.wait()
    stranger = subprocess.Popen(["/bin/sleep", "60"], start_new_session=True)
    try:
        assert processes.end_leftovers(tmp_path, "no-such-stack") == ["one"]
        assert leader.wait(5) == -signal.SIGTERM
        assert not processes.alive(child)
        assert stranger.poll() is None
        assert not list(tmp_path.glob("*.pid"))
    finally:
        for pid in (leader.pid, child, stranger.pid):
            processes.send([pid], signal.SIGKILL)
        stranger.wait()


def test_a_process_that_left_its_session_is_found_by_its_mark() -> None:
    child = subprocess.Popen(["/bin/sleep", "60"], start_new_session=True, env={processes.MARK: "stack-under-test"})
    try:
        deadline = time.monotonic() + 5
        while processes.members([], "stack-under-test") != [child.pid] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert processes.members([], "stack-under-test") == [child.pid]
        assert processes.members([], "another-stack") == []
    finally:
        child.kill()
        child.wait()


def test_the_caller_is_never_among_those_to_end() -> None:
    assert os.getpid() not in processes.members([os.getsid(0)])
