"""Real processes under the names of Cyrus' ones, with the process files Cyrus would write."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from deftmail.stack import sessions

WAITS = "import signal; print(flush=True); signal.pause()"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True)\nwhile True: signal.pause()"
Serve = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "proc"
    made.mkdir()
    return made


@pytest.fixture
def serve(folder: Path, tmp_path: Path) -> Iterator[Serve]:
    """Start a process called `name` that says it serves `user`."""
    started: list[subprocess.Popen[str]] = []

    def start(user: str, name: str = "imapd", script: str = WAITS) -> subprocess.Popen[str]:
        program = tmp_path / name
        if not program.exists():
            program.symlink_to(Path(sys.executable).resolve())
        process = subprocess.Popen([program, "-I", "-c", script], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()  # it is past its start
        (folder / str(process.pid)).write_text(f"imaps\tclient.example [192.0.2.1]\t{user}\tINBOX\tIdle\n")
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_ends_the_sessions_of_one_and_leaves_everybody_else(folder: Path, serve: Serve) -> None:
    mine = [serve("alice@acme.test"), serve("alice@acme.test", "timsieved")]
    others = [
        serve("bob@acme.test"),
        serve("malice@acme.test"),
        serve("alice@acme.test.example"),
        serve(""),
        serve("alice@acme.test", "httpd"),  # serves everybody's webmail, one after the other
    ]
    assert sessions.end_sessions(folder, "alice@acme.test") == 2
    assert [process.wait(1) for process in mine] == [-signal.SIGTERM] * 2
    assert [process.poll() for process in others] == [None] * 5
    assert sessions.end_sessions(folder, "alice@acme.test") == 0


def test_one_that_does_not_hear_is_killed(folder: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "GRACE", 0.2)
    deaf = serve("alice@acme.test", script=DEAF)
    sessions.end_sessions(folder, "alice@acme.test")
    assert deaf.wait(1) == -signal.SIGKILL


def test_who_comes_in_a_moment_later_is_met_by_the_second_look(folder: Path, serve: Serve) -> None:
    late: list[subprocess.Popen[str]] = []
    arrives = threading.Timer(sessions.SECOND_LOOK / 4, lambda: late.append(serve("alice@acme.test")))
    arrives.start()
    assert sessions.end_sessions(folder, "alice@acme.test") == 1
    assert late[0].wait(1) == -signal.SIGTERM


def test_files_of_processes_that_are_gone_and_half_written_ones_harm_nobody(folder: Path, serve: Serve) -> None:
    gone = serve("alice@acme.test")
    gone.kill()
    gone.wait()
    # The number came back as somebody else's: this very process.
    (folder / str(os.getpid())).write_text("imaps\tclient\talice@acme.test\t\t\n")
    (folder / f"{os.getpid()}.new").write_text("imaps")
    for name, text in (("notes", "alice@acme.test"), ("1", "imaps"), ("999999999", "a\tb\talice@acme.test\t\t\n")):
        (folder / name).write_text(text)
    assert sessions.end_sessions(folder, "alice@acme.test") == 0


def test_one_who_has_more_than_a_thousand_open_is_waited_for(folder: Path, serve: Serve) -> None:
    process = serve("alice@acme.test")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    handle = os.pidfd_open(process.pid)
    try:
        high = fcntl.fcntl(handle, fcntl.F_DUPFD, 1100)
        process.kill()
        assert sessions._left([high], sessions.GRACE) == set()
        os.close(high)
    finally:
        os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_room_for_a_handle_is_no_answer_and_keeps_none(
    folder: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes, real = [serve("alice@acme.test") for _ in range(2)], os.pidfd_open
    given: list[int] = []

    def pidfd_open(pid: int) -> int:
        if given:
            raise OSError(errno.EMFILE, "Too many open files")
        given.append(real(pid))
        return given[0]

    monkeypatch.setattr(os, "pidfd_open", pidfd_open)
    with pytest.raises(OSError, match="Too many"):
        sessions.end_sessions(folder, "alice@acme.test")
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(given[0])
    monkeypatch.undo()
    sessions.end_sessions(folder, "alice@acme.test")  # as who asked does a moment later
    assert [process.wait(1) for process in processes] == [-signal.SIGTERM] * 2


@pytest.mark.parametrize(
    ("client", "address"),
    [
        ("localhost [127.0.0.1]", "127.0.0.1"),
        ("[192.0.2.7]", "192.0.2.7"),
        ("mail.example [2001:db8::7]", "2001:db8::7"),
        ("[::ffff:192.0.2.7]", "::ffff:c000:207"),
        ("[9.9.9.9] [192.0.2.7]", "192.0.2.7"),  # whoever names himself so
        ("", ""),
        ("[unix socket]", ""),
        ("192.0.2.7 [", ""),
    ],
)
def test_tells_the_address_of_a_client_before_it_signed_in(
    folder: Path, serve: Serve, client: str, address: str
) -> None:
    process = serve("")
    (folder / str(process.pid)).write_text(f"imaps\t{client}\t\t\t\n")
    assert sessions.client_of(folder, str(process.pid)) == address


def test_tells_nothing_of_other_processes(folder: Path, serve: Serve) -> None:
    shared, gone = serve("", "httpd"), serve("")
    gone.kill()
    gone.wait()
    (folder / str(os.getpid())).write_text("imaps\t[192.0.2.7]\t\t\t\n")  # a number that came back
    (folder / "half").write_text("imaps")
    asked = [str(shared.pid), str(gone.pid), str(os.getpid()), "half", "../half", "", "-1", "0", "9" * 40]
    assert [sessions.client_of(folder, pid) for pid in asked] == [""] * len(asked)


def test_an_ending_that_takes_long_keeps_no_other_question_waiting(
    folder: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf, other = serve("alice@acme.test", script=DEAF), serve("bob@acme.test")
    looked = threading.Event()
    real = sessions._left

    def left(handles: Iterable[int], seconds: float) -> set[int]:
        looked.set()
        return real(handles, seconds)

    monkeypatch.setattr(sessions, "_left", left)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "sock"))
        listener.listen()
        threading.Thread(target=sessions.serve, args=(listener, folder, os.geteuid()), daemon=True).start()

        def ask(question: str) -> socket.socket:
            link = socket.socket(socket.AF_UNIX)
            link.settimeout(sessions.GRACE)
            link.connect(str(tmp_path / "sock"))
            link.sendall(question.encode())
            return link

        with ask("end alice@acme.test\n") as ending:
            assert looked.wait(sessions.GRACE), "it waits for the one that does not hear"
            for _ in range(2 * sessions.CALLERS):  # places come free again
                with ask(f"client {other.pid}\n") as asking:
                    assert asking.recv(100) == b"192.0.2.1\n"
            assert deaf.poll() is None, "meanwhile the ending went on"
            ending.settimeout(4 * sessions.GRACE)
            assert ending.recv(100) == b"1\n"


ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as link:
    link.connect(sys.argv[1].replace("@", "\\0"))
    link.sendall(sys.argv[2].encode())
    link.shutdown(socket.SHUT_WR)
    print(link.recv(100).decode(), end="")
"""


@pytest.mark.parametrize(
    ("allowed", "question", "said"),
    [(True, "end alice@acme.test\n", "1\n"), (True, "end \n", "0\n"), (True, "end alice@acme.test", ""),
     (False, "end alice@acme.test\n", ""), (True, "client %d\n", "192.0.2.1\n"), (True, "client %d0\n", "\n"),
     (False, "client %d\n", ""), (True, "\n", ""), (True, "alice@acme.test\n", "")],
)  # fmt: skip
def test_only_the_account_it_was_told_of_may_ask(
    folder: Path, serve: Serve, allowed: bool, question: str, said: str
) -> None:
    process = serve("alice@acme.test")
    who = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    name = f"deftmail-sessions-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        asking = subprocess.Popen(
            ["/usr/bin/python3", "-I", "-c", ASK, f"@{name}", question.replace("%d", str(process.pid))],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            user=who.pw_uid,
        )
        connection, _ = listener.accept()
        with connection:
            sessions.answer(connection, folder, who.pw_uid if allowed else who.pw_uid + 1)
        assert asking.communicate(timeout=10)[0] == said
    assert (process.poll() is None) == (said != "1\n")
