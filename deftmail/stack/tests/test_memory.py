"""Ports and secrets are chosen once."""

import socket
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deftmail.stack.errors import StackError
from deftmail.stack.memory import PORT_NAMES, WEB_PORT, Claims, Memory, Secrets, is_free


@pytest.fixture
def claims() -> Iterator[Claims]:
    with closing(Claims()) as claims:
        yield claims


def test_two_stacks_that_start_together_choose_different_ports(claims: Claims) -> None:
    one, two = Memory(mode="local"), Memory(mode="local")
    one.settle_ports("beef", claims)
    with closing(Claims()) as others:
        two.settle_ports("beef", others)
        assert not set(one.ports.values()) & set(two.ports.values())
        remembered = Memory(mode="local", ports={"web": one.ports["web"]})
        assert remembered.settle_ports("beef", others) == ["web"]
    assert WEB_PORT <= one.ports["web"] < two.ports["web"] < WEB_PORT + 20
    with closing(Claims()) as later:
        assert later.take(two.ports["web"]), "what a stack chose is free again when it has ended"


def test_every_service_gets_a_free_port_of_its_own(claims: Claims) -> None:
    memory = Memory(mode="test")
    assert memory.settle_ports("ab12", claims) == []
    assert sorted(memory.ports) == sorted(PORT_NAMES)
    assert len(set(memory.ports.values())) == len(PORT_NAMES)
    assert all(is_free(port) for port in memory.ports.values())


def test_ports_are_the_same_at_the_next_start(claims: Claims, tmp_path: Path) -> None:
    memory = Memory(mode="test")
    memory.settle_ports("ab12", claims)
    memory.save(tmp_path)
    again = Memory.load(tmp_path)
    assert again.settle_ports("ab12", claims) == []
    assert again == memory


def test_a_port_that_another_program_took_moves_and_the_others_stay(claims: Claims) -> None:
    memory = Memory(mode="test")
    memory.settle_ports("c0ffee", claims)
    before = dict(memory.ports)
    with socket.socket() as other:
        other.bind(("127.0.0.1", before["imap"]))
        other.listen()
        assert memory.settle_ports("c0ffee", claims) == ["imap"]
    moved = {name for name in PORT_NAMES if memory.ports[name] != before[name]}
    assert moved == {"imap"}
    assert memory.ports["imap"] not in before.values()


def test_a_taken_udp_port_is_not_free() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        assert not is_free(other.getsockname()[1])


def test_two_stacks_start_their_search_at_different_places(claims: Claims) -> None:
    one, two = Memory(mode="test"), Memory(mode="test")
    one.settle_ports("0000000100", claims)
    two.settle_ports("0000000900", claims)
    assert not set(one.ports.values()) & set(two.ports.values())


def test_a_broken_memory_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text("{")
    with pytest.raises(StackError, match=r"stack\.json"):
        Memory.load(tmp_path)


def test_secrets_are_made_once_and_only_the_owner_reads_them(tmp_path: Path) -> None:
    made = Secrets.load_or_make(tmp_path)
    assert Secrets.load_or_make(tmp_path) == made
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    values = list(made.model_dump().values())
    assert len(set(values)) == len(values)


def test_a_secret_that_is_new_in_this_version_joins_the_old_ones(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text('{"redis": "kept"}')
    found = Secrets.load_or_make(tmp_path)
    assert found.redis == "kept"
    assert Secrets.load_or_make(tmp_path).tsig == found.tsig
