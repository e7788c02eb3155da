"""The gate as one asyncio process: the password socket, the policy service, the health page."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import structlog

from deftmail.gate.clients import Clients
from deftmail.gate.database import AWAY, Busy, hash_threads, on_connection, reader_threads
from deftmail.gate.health import HealthServer
from deftmail.gate.limiter import Limiter
from deftmail.gate.maillog import Follower
from deftmail.gate.passwords import PasswordChecker
from deftmail.gate.policy import Decider, PolicyServer
from deftmail.gate.sasl import SaslServer
from deftmail.gate.signedin import SignedIn
from deftmail.sending import counters
from deftmail.sending.actions.mirror import mirror

log = structlog.get_logger(__name__)

STOP_WITHIN = 10.0
"""Seconds that open questions get to be answered after SIGTERM."""
MIRROR_EVERY = 3.0
"""Seconds between two looks at what was charged and is not in PostgreSQL yet."""
_BACKLOG = 512


class AlreadyRunning(Exception):
    """Another gate answers on the socket."""


class Gate:
    """Listens at three places; `run` returns after SIGTERM or SIGINT."""

    def __init__(
        self,
        *,
        sasl_socket: Path,
        policy: str,
        http: str,
        mail_log: Path | None = None,
        queue_command: tuple[str, ...] = (),
        sessions_socket: str = "",
    ) -> None:
        """`policy` and `http` are host:port; `queue_command` prints Postfix's queue as JSON lines; the service at
        `sessions_socket` knows whom Cyrus' processes serve."""
        self._sasl_socket = sasl_socket
        self._policy_address = _host_port(policy)
        self._http_address = _host_port(http)
        self._readers = reader_threads()
        self._hashers = hash_threads()
        signed_in = SignedIn()
        self._limiter = Limiter(lambda: self._readers.run(on_connection, counters.refill))
        self._follower = Follower(self._limiter, mail_log, queue_command)
        clients = {"imap": Clients(sessions_socket).address_of, "smtp": self._follower.client_of}
        self.checker = PasswordChecker(self._readers, self._hashers, signed_in=signed_in, clients=clients)
        self._sasl = SaslServer(self.checker)
        decider = Decider(self._readers, self._limiter, charged=self._follower.charged, signed_in=signed_in)
        self._policy = PolicyServer(decider)
        self._background: list[asyncio.Task[None]] = []
        self._health = HealthServer(self._readers, self._figures)
        self._servers: list[asyncio.Server] = []

    async def run(self) -> None:
        """Start, serve until told to stop, finish what is open. Raises OSError or AlreadyRunning at start."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await self.start()
        log.info("gate_started", sasl=str(self._sasl_socket), policy=self._policy_address, http=self._http_address)
        try:
            await stop.wait()
        finally:
            await self.stop()
            log.info("gate_stopped")

    async def start(self) -> None:
        """Listen everywhere."""
        listener = await _unix_listener(self._sasl_socket)
        self._servers = [
            await asyncio.start_unix_server(self._sasl.serve, sock=listener, backlog=_BACKLOG),
            await asyncio.start_server(self._policy.serve, *self._policy_address, backlog=_BACKLOG),
            await asyncio.start_server(self._health.serve, *self._http_address),
        ]
        self._background = [asyncio.create_task(self._follower.run()), asyncio.create_task(self._mirror())]

    async def stop(self) -> None:
        """Take no more connections, answer what was asked, let go of the rest."""
        for server in self._servers:
            server.close()
        self._sasl_socket.unlink(missing_ok=True)
        deadline = asyncio.get_running_loop().time() + STOP_WITHIN
        while self._busy() and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
        await self.checker.settle()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._limiter.close()
        self._readers.close()
        self._hashers.close()

    async def _mirror(self) -> None:
        while True:
            await asyncio.sleep(MIRROR_EVERY)
            try:
                began = time.monotonic()
                while await self._readers.run(on_connection, mirror) >= counters.MIRRORED_AT_ONCE:
                    pass
                self._limiter.mirrored(began)
            except (Busy, *AWAY) as error:
                log.warning("counters_not_mirrored", error=type(error).__name__)
            except Exception:
                log.exception("mirror_fault")

    def _busy(self) -> bool:
        return bool(self._sasl.open_now or self._policy.deciding_now or self._readers.taken or self._hashers.taken)

    def _figures(self) -> dict[str, int]:
        return {
            "sasl_connections": self._sasl.open_now,
            "policy_connections": self._policy.open_now,
            "hashes_waiting": self._hashers.taken,
            "reads_waiting": self._readers.taken,
            "charges_open": self._follower.open_now,
        }


async def _unix_listener(path: Path) -> socket.socket:
    """A listening socket that Cyrus (user cyrus) and Postfix (user postfix) may both connect to: mode 0666.

    A socket left behind by a killed gate is replaced; one that answers is somebody else's.
    """
    with contextlib.suppress(OSError):
        _reader, writer = await asyncio.open_unix_connection(str(path))
        writer.close()
        raise AlreadyRunning(f"another process answers on {path}")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o111)  # right from the start: no moment at which a caller is refused
    try:
        listener.bind(str(path))
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(before)
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def _host_port(text: str) -> tuple[str, int]:
    host, _colon, port = text.rpartition(":")
    return host.strip("[]") or "127.0.0.1", int(port)
