"""The data folder is where service accounts can reach it."""

from pathlib import Path

import pytest

from deftmail.stack import paths
from deftmail.stack.errors import StackError
from deftmail.stack.paths import Layout, prepare_var, reachable_by_others


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that only its owner may enter, on a machine whose /var/lib is `tmp_path/lib`."""
    monkeypatch.setattr(paths, "STATE", tmp_path / "lib")
    monkeypatch.setattr(paths, "reachable_by_others", lambda folder: "home" not in folder.parts)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return home


def test_a_folder_behind_a_closed_door_is_not_reachable(tmp_path: Path) -> None:
    door = tmp_path / "door"
    (door / "room").mkdir(parents=True)
    door.chmod(0o700)
    assert not reachable_by_others(door / "room")
    assert not reachable_by_others(door / "room" / "not made yet")


def test_a_reachable_folder_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "reachable_by_others", lambda folder: True)
    var = prepare_var(tmp_path / "var")
    assert var == tmp_path / "var"
    assert var.is_dir()
    assert not var.is_symlink()
    assert prepare_var(tmp_path / "var") == var


def test_an_unreachable_folder_becomes_a_link_and_keeps_its_content(closed: Path, tmp_path: Path) -> None:
    (closed / "var").mkdir()
    (closed / "var" / "kept").write_text("x")
    var = prepare_var(closed / "var")
    assert (closed / "var").is_symlink()
    assert var.parent == tmp_path / "lib"
    assert (var / "kept").read_text() == "x"
    assert prepare_var(closed / "var") == var


def test_a_new_clone_at_an_old_path_does_not_inherit_the_data(closed: Path) -> None:
    old = prepare_var(closed / "var")
    (old / "secrets.json").write_text("old")
    (closed / "var").unlink()
    new = prepare_var(closed / "var")
    assert new == old
    assert not (new / "secrets.json").exists()
    aside = [path for path in new.parent.iterdir() if path != new]
    assert [(path / "secrets.json").read_text() for path in aside] == ["old"]


def test_a_socket_path_that_would_be_cut_is_refused(tmp_path: Path) -> None:
    layout = Layout(var=tmp_path, run=Path("/run/x"))
    assert layout.socket("a" * 100) == Path("/run/x/" + "a" * 100)
    with pytest.raises(StackError, match="too long"):
        layout.socket("a" * 101)


def test_two_folders_have_two_names(tmp_path: Path) -> None:
    assert Layout.of(tmp_path / "a").name != Layout.of(tmp_path / "b").name
