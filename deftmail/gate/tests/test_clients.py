"""The question whose process that is, asked of a service that answers well, badly, late or not at all."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from deftmail.gate import clients
from deftmail.gate.clients import Clients


@asynccontextmanager
async def service(answer: bytes | None):
    """A service that says `answer` to every question (None: nothing); the clients, and what was asked."""
    asked: list[bytes] = []

    async def serve(reader, writer):
        asked.append(await reader.readline())
        if answer is not None:
            writer.write(answer)
            writer.close()
        else:
            await reader.read()

    with tempfile.TemporaryDirectory() as folder:  # short: a socket's path has 107 bytes at most
        path = str(Path(folder) / "sock")
        listening = await asyncio.start_unix_server(serve, path)
        yield Clients(path), asked
        listening.close()


@pytest.mark.parametrize(
    ("answer", "address"),
    [(b"192.0.2.1\n", "192.0.2.1"), (b"2001:DB8::0:1\n", "2001:db8::1"), (b"\n", None)],
)
async def test_an_address_or_none(answer, address):
    async with service(answer) as (known, asked):
        with capture_logs() as said:
            assert await known.address_of(1234) == address
    assert asked == [b"client 1234\n"]
    assert said == []


@pytest.mark.parametrize("answer", [b"", b"192.0.2.1", b"nobody\n", b"\xff\n", b"x" * 100_000, None])
async def test_whatever_else_is_none_said_once_a_minute(answer, monkeypatch):
    monkeypatch.setattr(clients, "WITHIN", 0.1)
    async with service(answer) as (known, _asked):
        with capture_logs() as said:
            assert [await known.address_of(1234) for _ in range(3)] == [None] * 3
            assert [line["event"] for line in said] == ["client_unknown"]
            monkeypatch.setattr(clients, "SAY_AGAIN", 0.0)
            await known.address_of(1234)
    assert len(said) == 2


async def test_nobody_there_is_none(tmp_path):
    assert await Clients(str(tmp_path / "nothing")).address_of(1) is None
    assert await Clients().address_of(1) is None


async def test_many_at_once_wait_for_each_other(monkeypatch):
    monkeypatch.setattr(clients, "WITHIN", 10.0)
    async with service(b"192.0.2.1\n") as (known, asked):
        assert set(await asyncio.gather(*(known.address_of(pid) for pid in range(300)))) == {"192.0.2.1"}
    assert len(asked) == 300
