"""`deftmail engine setup` and `doctor` as an operator types them."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from deftmail.engine.registry import build
from deftmail.engine.tests.test_stalwart_setup import Server
from deftmail.kit import conf as configuration
from deftmail.ops.enginesetup import save

URL = "http://stalwart.test"


@pytest.fixture
def server(monkeypatch):
    made = Server()

    def management(url, authorization):
        assert url == URL
        return made.management(authorization)

    monkeypatch.setattr("deftmail.engine.drivers.stalwart.wire.Management", management)
    return made


def setup(*arguments):
    out = StringIO()
    call_command("engine", "setup", "stalwart", "--url", URL, "--admin", "admin:x", *arguments, stdout=out)
    return out.getvalue()


def test_a_dry_run_prints_the_plan_and_changes_nothing(server):
    said = setup("--dry-run")
    assert said.count("would do: ") == 12
    assert "key" in said
    assert server.changes == []


def test_a_set_up_shows_the_key_once(server):
    said = setup("--callback", "http://nginx:8081/")
    assert "DEFTMAIL_STALWART_API_KEY=API_x" in said
    assert "DEFTMAIL_STALWART_CALLBACK_URL=http://nginx:8081\n" in said
    again = setup("--callback", "http://nginx:8081")
    assert "Nothing to change." in again
    assert "API_x" not in again


def test_a_set_up_saves_the_key_in_a_file_of_its_own_or_one_that_is_there(server, tmp_path):
    target = tmp_path / "deftmail.env"
    said = setup("--save", str(target))
    assert "API_x" not in said
    assert "DEFTMAIL_ENGINE=stalwart\n" in target.read_text()
    assert target.stat().st_mode & 0o777 == 0o600
    target.chmod(0o640)
    target.write_text("A=1\nDEFTMAIL_ENGINE=cyrus\n# note")
    save(target, {"DEFTMAIL_ENGINE": "stalwart"})
    assert target.read_text() == "A=1\n# note\nDEFTMAIL_ENGINE=stalwart\n"
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_file_that_cannot_be_written_is_noticed_before_anything_is_changed(server, tmp_path):
    with pytest.raises(CommandError, match="--save"):
        setup("--save", str(tmp_path / "none" / "file"))
    assert server.changes == []


def test_what_is_typed_wrong_and_a_server_that_refuses_are_said(server, monkeypatch):
    with pytest.raises(CommandError, match="user:password"):
        call_command("engine", "setup", "stalwart", "--url", URL, "--admin", "admin")
    with pytest.raises(CommandError, match="http"):
        call_command("engine", "setup", "stalwart", "--url", "stalwart", "--admin", "a:b")
    server.status = 401
    with pytest.raises(CommandError, match="could not be asked") as caught:
        setup()
    assert caught.value.returncode == 2
    monkeypatch.setattr("sys.stdin", StringIO("admin:x\n"))
    server.status = 200
    out = StringIO()
    call_command("engine", "setup", "stalwart", "--url", URL, "--admin", "-", "--dry-run", "--json", stdout=out)
    assert len(json.loads(out.getvalue())["steps"]) == 12


class Settings:
    """The settings with some replaced."""

    def __init__(self, **values):
        self.__dict__ |= values

    def __getattr__(self, name):
        return getattr(configuration.conf, name)


def test_the_doctor_exits_with_1_and_a_line_for_each_trouble(server, monkeypatch):
    monkeypatch.setattr("deftmail.engine.preparation.conf", Settings(engine="stalwart", stalwart_url=URL))
    monkeypatch.setattr("deftmail.engine.drivers.stalwart.doctor._way_back", lambda *_: "")
    out = StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("engine", "doctor", stdout=out)
    assert caught.value.code == 1
    assert out.getvalue() == "DEFTMAIL_STALWART_API_KEY is empty: `deftmail engine setup stalwart` issues a key\n"


def test_the_doctor_of_another_engine_is_its_health(monkeypatch):
    monkeypatch.setattr("deftmail.engine.preparation.conf", Settings(engine="fake"))
    monkeypatch.setattr("deftmail.engine.preparation.engine", lambda: build("fake"))
    out = StringIO()
    call_command("engine", "doctor", "--json", stdout=out)
    assert json.loads(out.getvalue()) == {"ok": True, "troubles": []}
