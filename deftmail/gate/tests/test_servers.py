"""The password socket and the whole process over real sockets: right questions, hostile bytes, and the end."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import tempfile
from pathlib import Path

import pytest
from django.db import OperationalError

from deftmail.gate import sasl, service
from deftmail.gate.sasl import SaslServer
from deftmail.gate.saslwire import encode_question
from deftmail.gate.service import AlreadyRunning, Gate
from deftmail.kit.testing import GOOD_PASSWORD


@pytest.fixture
async def sasl_socket(checker):
    server = SaslServer(checker)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sasl.sock"
        listening = await asyncio.start_unix_server(server.serve, str(path))
        yield path
        listening.close()


async def sign_in(path, data, *, finish=False):
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(data)
    if finish:
        writer.write_eof()
    try:
        answer = await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:  # closed while bytes of ours were still unread
        answer = b""
    writer.close()
    return answer[2:].decode()


class TestTheSaslSocket:
    async def test_answers_yes_and_no(self, sasl_socket, table):
        table.add()
        assert await sign_in(sasl_socket, encode_question("alice", GOOD_PASSWORD, "imap", "acme.test")) == "OK"
        assert await sign_in(sasl_socket, encode_question("alice@acme.test", GOOD_PASSWORD, "smtp", "")) == "OK"
        answer = await sign_in(sasl_socket, encode_question("alice@acme.test", "wrong", "smtp", ""))
        assert answer == "NO wrong address or password"

    async def test_a_disabled_mailbox_and_a_wrong_password_sound_alike(self, sasl_socket, table):
        table.add(status="disabled")
        right = await sign_in(sasl_socket, encode_question("alice@acme.test", GOOD_PASSWORD, "imap", ""))
        wrong = await sign_in(sasl_socket, encode_question("bob@acme.test", "wrong", "imap", ""))
        assert right == wrong

    async def test_sieve_is_refused(self, sasl_socket, table):
        table.add()
        answer = await sign_in(sasl_socket, encode_question("alice@acme.test", GOOD_PASSWORD, "sieve", ""))
        assert answer.startswith("NO")

    @pytest.mark.parametrize("data", [b"", b"\x00", os.urandom(5000), b"\xff\xff" + b"x" * 70000])
    async def test_garbage_gets_no_answer(self, sasl_socket, table, data):
        assert await sign_in(sasl_socket, data, finish=True) == ""

    async def test_not_knowing_is_no_answer(self, sasl_socket, table):
        table.add()
        table.away = OperationalError("away")
        assert await sign_in(sasl_socket, encode_question("alice@acme.test", GOOD_PASSWORD, "imap", "")) == ""
        table.away = None
        assert await sign_in(sasl_socket, encode_question("alice@acme.test", GOOD_PASSWORD, "imap", "")) == "OK"

    async def test_who_sends_slowly_is_closed(self, sasl_socket, table, monkeypatch):
        monkeypatch.setattr(sasl, "READ_WITHIN", 0.1)
        assert await sign_in(sasl_socket, b"\x00\x05ali") == ""

    async def test_surplus_callers_are_closed(self, sasl_socket, table, monkeypatch):
        monkeypatch.setattr(sasl, "CONNECTIONS_AT_MOST", 0)
        assert await sign_in(sasl_socket, encode_question("a", "b", "imap", "")) == ""


@pytest.fixture
def gate(table, tmp_path, monkeypatch):
    """A whole gate on sockets of its own, asking the test's table and facts."""
    with tempfile.TemporaryDirectory() as folder:  # short: a socket's path has 107 bytes at most
        yield Gate(sasl_socket=Path(folder) / "sasl.sock", policy="127.0.0.1:0", http="127.0.0.1:0")


async def http(port, text):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.decode(), body


class TestTheProcess:
    async def test_its_socket_is_open_to_cyrus_and_postfix(self, gate, table):
        table.add()
        await gate.start()
        mode = gate._sasl_socket.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o666
        assert await sign_in(gate._sasl_socket, encode_question("alice@acme.test", GOOD_PASSWORD, "imap", "")) == "OK"
        await gate.stop()
        assert not gate._sasl_socket.exists()

    async def test_a_second_one_does_not_take_its_socket(self, gate, table):
        await gate.start()
        second = Gate(sasl_socket=gate._sasl_socket, policy="127.0.0.1:0", http="127.0.0.1:0")
        with pytest.raises(AlreadyRunning):
            await second.start()
        await gate.stop()

    async def test_a_socket_left_by_a_killed_one_is_replaced(self, gate, table):
        gate._sasl_socket.touch()
        await gate.start()
        assert stat.S_ISSOCK(gate._sasl_socket.stat().st_mode)
        await gate.stop()

    async def test_health_names_what_is_away_and_stays_200(self, gate, monkeypatch):
        monkeypatch.setattr("deftmail.gate.health._ping_database", lambda: None)
        monkeypatch.setattr("deftmail.gate.health._ping_redis", lambda: 1 / 0)
        await gate.start()
        port = gate._servers[2].sockets[0].getsockname()[1]
        head, body = await http(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert head.startswith("HTTP/1.1 200 OK")
        state = json.loads(body)
        assert (state["status"], state["database"], state["redis"]) == ("degraded", "ok", "away")
        assert (await http(port, b"GET /other HTTP/1.1\r\n\r\n"))[0].startswith("HTTP/1.1 404")
        assert (await http(port, b"POST /healthz HTTP/1.1\r\n\r\n"))[0].startswith("HTTP/1.1 405")
        assert (await http(port, b"HEAD /healthz HTTP/1.1\r\n\r\n"))[1] == b""
        assert (await http(port, b"nonsense\r\n\r\n"))[0] == ""
        await gate.stop()

    async def test_the_end_waits_for_open_questions(self, gate, table, monkeypatch):
        table.add()
        await gate.start()
        asked = asyncio.create_task(
            sign_in(gate._sasl_socket, encode_question("alice@acme.test", GOOD_PASSWORD, "imap", ""))
        )
        while not gate._sasl.open_now:
            await asyncio.sleep(0.001)
        await gate.stop()
        assert await asked == "OK"

    async def test_the_end_does_not_wait_for_ever(self, gate, table, monkeypatch):
        monkeypatch.setattr(service, "STOP_WITHIN", 0.1)
        await gate.start()
        _reader, writer = await asyncio.open_unix_connection(str(gate._sasl_socket))
        await asyncio.sleep(0.02)
        await asyncio.wait_for(gate.stop(), 3)
        writer.close()
