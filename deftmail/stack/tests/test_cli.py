"""The command line: what it refuses, and how it becomes root."""

import json
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from deftmail import cli as console
from deftmail.stack import cli, run, status
from deftmail.stack.memory import Claims, Memory


@pytest.fixture
def started(tmp_path: Path) -> Path:
    """The data folder of a stack that ran once and does not run now."""
    memory = Memory(mode="test")
    with closing(Claims()) as claims:
        memory.settle_ports("beef", claims)
    memory.save(tmp_path)
    return tmp_path


def test_status_has_the_shape_that_programs_rely_on(started: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--json", "--var", str(started)]) == 3
    report = json.loads(capsys.readouterr().out)
    assert list(report) == ["engine", "web", "imap", "submission", "smtp", "lmtp", "sieve", "dns", "services"]
    assert list(report["dns"]) == ["host", "port", "tsig_name", "tsig_secret", "tsig_algorithm"]
    assert report["web"] == f"http://localhost:{Memory.load(started).ports['web']}"
    for name in ("imap", "submission", "smtp", "lmtp", "sieve"):
        host, _, port = report[name].rpartition(":")
        assert host == "127.0.0.1"
        assert port.isdigit()
    wanted = {"postgres", "redis", "cache", "knot", "cyrus", "postfix", "rspamd", "gate", "worker", "web"}
    assert set(report["services"]) == wanted
    assert all(one == {"pid": None, "healthy": False} for one in report["services"].values())


def test_status_for_people_names_every_service(started: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["status", "--var", str(started)])
    shown = capsys.readouterr().out
    assert "postfix      not running" in shown
    assert "web          http://localhost:" in shown


def test_health_is_that_of_every_service() -> None:
    one: dict[str, Any] = {"pid": 1, "healthy": True}
    assert status.healthy({"services": {"a": one, "b": one}})
    assert not status.healthy({"services": {"a": one, "b": {"pid": 2, "healthy": False}}})
    assert not status.healthy({"services": {}})


def test_status_of_nothing_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--var", str(tmp_path)]) == 1
    assert "no stack was ever started" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_service_is_refused(started: Path) -> None:
    from deftmail.stack import catalogue
    from deftmail.stack.errors import StackError
    from deftmail.stack.site import Site

    with pytest.raises(StackError, match="unknown service: sendmail"):
        catalogue.services(Site.load(started), only=["redis", "sendmail"])


def test_who_is_not_root_goes_through_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(os, "execvp", lambda file, argv: called.append([file, *argv]))
    cli.become_root(["up", "--no-demo"])
    assert called[0][:3] == ["sudo", "sudo", "--preserve-env=DEFTMAIL_VAR"]
    assert called[0][-4:] == ["-m", "deftmail.stack", "up", "--no-demo"]


def test_without_sudo_the_sentence_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert cli.main(["up"]) == 1
    assert "install sudo" in capsys.readouterr().err


def test_the_console_script_takes_variables_that_are_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFTMAIL_VAR", str(tmp_path))
    monkeypatch.setenv("DEFTMAIL_MODE", "production")
    monkeypatch.delenv("DEFTMAIL_STACK_TEST_NEW", raising=False)
    (tmp_path / "deftmail.env").write_text("DEFTMAIL_MODE=test\nDEFTMAIL_STACK_TEST_NEW=a=b\n")
    # monkeypatch restores what is set here.
    monkeypatch.setenv("DEFTMAIL_STACK_TEST_NEW", "")
    del os.environ["DEFTMAIL_STACK_TEST_NEW"]
    console.load_environment()
    assert os.environ["DEFTMAIL_MODE"] == "production"
    assert os.environ["DEFTMAIL_STACK_TEST_NEW"] == "a=b"


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("engine", "conformance", "--help"), 0, "--admin USER:PASSWORD"),
        (("engine", "setup", "stalwart", "--help"), 0, "--dry-run"),
        (
            ("engine", "conformance", "--engine", "stalwart", "--url", "http://127.0.0.1:1"),
            1,
            "missing: --admin, --smtp",
        ),
        (("engine", "doctor"), 1, "Settings are missing or wrong: DEFTMAIL_SECRET_KEY (Field required), "),
    ],
)
def test_where_nothing_is_set_up_help_and_conformance_work_and_others_say_what_is_missing(
    tmp_path: Path, arguments: tuple[str, ...], status: int, told: str
) -> None:
    import subprocess
    import sys

    code = "import sys, deftmail.cli; sys.argv[0] = 'deftmail'; deftmail.cli.main()"
    environment = {"PATH": os.environ["PATH"], "DEFTMAIL_VAR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == status, run.stderr
    assert told in " ".join((run.stdout + run.stderr).split())
    assert "Traceback" not in run.stderr


def test_a_command_whose_database_is_away_says_so() -> None:
    import subprocess
    import sys

    code = "import sys, deftmail.cli; sys.argv[0] = 'deftmail'; deftmail.cli.main()"
    nowhere = {"DEFTMAIL_DATABASE_URL": "postgresql://nobody:nothing@127.0.0.1:1/deftmail"}
    run = subprocess.run(
        [sys.executable, "-c", code, "tenant", "list"],
        env={**os.environ, **nowhere},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith("The database does not answer: ")
    assert "Traceback" not in run.stderr


def test_the_stack_commands_start_without_django() -> None:
    import subprocess
    import sys

    code = "import sys, deftmail.cli, deftmail.stack.cli; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_demo_is_shown_at_the_address_of_today() -> None:
    printed = '{"owner": "o@c.example", "mailboxes": ["a@acme.test", "b@acme.test"], "password": "x-y", "url": "old"}'
    shown = run.sign_in(printed, "http://localhost:8003")
    assert shown == (
        "sign in at http://localhost:8003 as o@c.example (console), a@acme.test or b@acme.test (webmail); password x-y"
    )
