"""What Postfix's log tells: which charged messages never reached the queue, and whom a submission process serves.

`milter-reject` at the end of a message, or no `qmgr … from=` within a minute, means that nobody will get it. Before
giving back for silence, the queue itself is asked (`postqueue -j`), because lines can be lost when Postfix is killed.

Postfix's question for a password names no client. Its log does, at least two round trips before the password comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path

import structlog
from redis.exceptions import RedisError

from deftmail.gate.limiter import Limiter

log = structlog.get_logger(__name__)

SETTLE_AFTER = 60.0
LOOK_EVERY = 0.5
BACKLOG = 4 * 1024 * 1024
"""Bytes of the log that are read again at start: what an earlier gate charged just before its end."""
LINE_AT_MOST = 64 * 1024
OPEN_AT_MOST = 100_000
CLIENTS_AT_MOST = 10_000  # a process that was killed says no goodbye

# Long queue ids (enable_long_queue_ids): no vowels, hence no words; the short form is hexadecimal.
_ARRIVED = re.compile(rb" (?:postfix\S*/)?qmgr\[\d+\]: ([0-9A-Za-z]{6,25}): from=<")
_REJECTED = re.compile(
    rb" (?:postfix\S*/)?cleanup\S*\[\d+\]: ([0-9A-Za-z]{6,25}): milter-(?:reject|discard): END-OF-MESSAGE"
)
# The name before the address is the client's own to choose, but holds no bracket.
_CLIENT = re.compile(
    rb" (?:postfix\S*/)?submissions?/smtpd\[(\d+)\]: (connect|disconnect) from [^\[\]]*\[([0-9A-Fa-f:.]{2,45})\]"
)


class LogReader:
    """New whole lines of a file that grows, is rotated, or is not there yet."""

    def __init__(self, path: Path, *, backlog: int = BACKLOG) -> None:
        self._path = path
        self._backlog = backlog
        self._file: int | None = None
        self._inode = 0
        self._rest = b""

    def lines(self) -> list[bytes]:
        """What was written since the last call; the rest of a rotated file first."""
        found = self._read()
        with contextlib.suppress(FileNotFoundError):
            at = self._path.stat()
            if at.st_ino != self._inode:
                self._open(first=self._file is None)
                found += self._read()
            elif self._file is not None and at.st_size < os.lseek(self._file, 0, os.SEEK_CUR):
                os.lseek(self._file, 0, os.SEEK_SET)  # emptied in place
                self._rest = b""
                found += self._read()
        return found

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self, *, first: bool) -> None:
        self.close()
        self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        at = os.fstat(self._file)
        self._inode, self._rest = at.st_ino, b""
        if first and at.st_size > self._backlog:
            os.lseek(self._file, at.st_size - self._backlog, os.SEEK_SET)

    def _read(self) -> list[bytes]:
        if self._file is None:
            return []
        found: list[bytes] = []
        while data := os.read(self._file, 1 << 20):
            *whole, self._rest = (self._rest + data).split(b"\n")
            found += whole
            if len(self._rest) > LINE_AT_MOST:
                self._rest = b""
        return found


class Follower:
    """Watches charged messages until each is known to have arrived, or is given back; knows who is at submission."""

    def __init__(
        self,
        limiter: Limiter,
        log_path: Path | None,
        queue_command: tuple[str, ...],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without a log nothing is ever given back for silence: a limit is rather too strict than not applied."""
        self._limiter = limiter
        self._reader = LogReader(log_path) if log_path is not None else None
        self._queue_command = queue_command
        self._clock = clock
        self._open: dict[str, float] = {}
        self._heard_at = float("-inf")
        self._reading = asyncio.Lock()
        self._told: deque[tuple[str, bool]] = deque(maxlen=OPEN_AT_MOST)  # queue id, and whether it arrived
        self._clients: OrderedDict[int, str] = OrderedDict()

    @property
    def open_now(self) -> int:
        """Messages whose arrival is not known yet."""
        return len(self._open)

    def charged(self, queue_id: str) -> None:
        """A message was charged (or may have been: the answer was lost)."""
        if self._reader is not None and len(self._open) < OPEN_AT_MOST:
            self._open[queue_id] = self._clock()

    async def run(self) -> None:
        """Until cancelled."""
        recovered = False
        while True:
            try:
                if not recovered:
                    for queue_id in await self._limiter.open_charges():
                        self._open.setdefault(queue_id, self._clock())
                    recovered = True
                await self.step()
            except RedisError as error:
                log.warning("charges_not_settled", error=type(error).__name__)
            except OSError as error:
                log.error("mail_log_unreadable", error=str(error))
            except Exception:
                log.exception("follower_fault")
            await asyncio.sleep(LOOK_EVERY)

    async def step(self) -> None:
        """Read what is new and settle what can be."""
        if self._reader is None:
            return
        await self._read(self._reader)
        told = [each for each in self._told if each[0] in self._open]
        self._told.clear()
        known = [queue_id for queue_id, arrived in told if arrived]
        await self._limiter.settled(known)
        for queue_id in known:
            self._open.pop(queue_id, None)
        for queue_id, _arrived in told:
            if queue_id in self._open:
                await self._give_back(queue_id, "milter-reject")
        await self._settle_silent()

    async def client_of(self, pid: int) -> str | None:
        """The address of the client that this submission process serves; None when the log does not tell."""
        if self._reader is None:
            return None
        try:
            await self._read(self._reader)
        except OSError as error:
            log.warning("client_unknown", error=type(error).__name__)
            return None
        return self._clients.get(pid)

    async def _read(self, reader: LogReader) -> None:
        async with self._reading:
            lines = await asyncio.to_thread(reader.lines)
            if lines:
                self._heard_at = self._clock()
            for line in lines:
                if (found := _CLIENT.search(line)) is not None:
                    pid, word, address = found.groups()
                    self._clients.pop(int(pid), None)
                    if word == b"connect":
                        self._clients[int(pid)] = address.decode()
                elif (found := _ARRIVED.search(line)) is not None:
                    self._told.append((found.group(1).decode(), True))
                elif (found := _REJECTED.search(line)) is not None:
                    self._told.append((found.group(1).decode(), False))
            while len(self._clients) > CLIENTS_AT_MOST:
                self._clients.popitem(last=False)

    async def _settle_silent(self) -> None:
        # Silence says something only in a log that speaks: smtpd tells at least of the end of that very connection.
        before = min(self._clock() - SETTLE_AFTER, self._heard_at)
        silent = [queue_id for queue_id, at in self._open.items() if at < before]
        if not silent:
            return
        queued = await self._queued()
        if queued is None:
            return  # the queue cannot be asked: later
        there = [queue_id for queue_id in silent if queue_id in queued]
        await self._limiter.settled(there)
        for queue_id in silent:
            if queue_id in queued:
                self._open.pop(queue_id, None)
            else:
                await self._give_back(queue_id, "never-queued")

    async def _give_back(self, queue_id: str, why: str) -> None:
        given = await self._limiter.give_back(queue_id)
        self._open.pop(queue_id, None)
        if given:
            log.info("charge_given_back", queue_id=queue_id, why=why)

    async def _queued(self) -> set[str] | None:
        """Ids of what lies in the queue; None when it cannot be asked."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._queue_command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                output, _ = await asyncio.wait_for(process.communicate(), 20)
            except TimeoutError:
                process.kill()
                await process.wait()
                return None
        except OSError:
            return None
        if process.returncode != 0:
            return None
        found = set()
        for line in output.splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                found.add(str(json.loads(line)["queue_id"]))
        return found
