"""What a stack remembers between starts: its ports, its mode, its secrets."""

import base64
import json
import secrets
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from deftmail.stack import files
from deftmail.stack.errors import StackError

Mode = Literal["local", "test", "production"]

# Below the ephemeral range of Linux (32768 up), so that an outgoing connection cannot sit on a port of ours.
FIRST_PORT, LAST_PORT = 20000, 31999
WEB_PORT = 8000

# Ports of one stack, in the order they are given out.
PORT_NAMES = (
    "postgres",
    "redis",
    "cache",
    "dns",
    "imap",
    "imaps",
    "sieve",
    "lmtp",
    "adm",
    "mx",
    "submission",
    "submissions",
    "jmap_out",
    "sieve_out",
    "system",
    "milter",
    "policy",
    "gate_http",
    "web",
)


class Claims:
    """Ports that were chosen and that nobody listens on yet. Every stack asks here before it chooses one, so two that
    start together never choose the same. Abstract Unix sockets (unix(7)): they end with their process, however it ends.
    """

    def __init__(self) -> None:
        self._held: dict[int, socket.socket] = {}

    def take(self, port: int) -> bool:
        """Whether nobody listens on this port and no other stack has chosen it; then it is ours."""
        if port not in self._held:
            mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                mark.bind(f"\0deftmail-port-{port}")
            except OSError:
                mark.close()
                return False
            self._held[port] = mark
        if is_free(port):
            return True
        self._held.pop(port).close()
        return False

    def close(self) -> None:
        """Let go of all."""
        while self._held:
            self._held.popitem()[1].close()


class Memory(BaseModel):
    """`<var>/stack.json`."""

    mode: Mode = "local"
    ports: dict[str, int] = Field(default_factory=dict)

    @classmethod
    def load(cls, var: Path) -> "Memory":
        path = var / "stack.json"
        if not path.exists():
            return cls()
        try:
            return cls.model_validate_json(path.read_text())
        except ValueError as error:
            raise StackError(f"{path} cannot be read: {error}") from error

    def save(self, var: Path) -> None:
        files.write(var / "stack.json", self.model_dump_json(indent=2) + "\n")

    def settle_ports(self, seed: str, claims: Claims) -> list[str]:
        """Give every name a port that is free now; keep remembered ones. Returns names whose port had to change.

        `seed` (hex) spreads the stacks of one machine, so that each finds its own at once. `claims` are kept for as
        long as the stack lives.
        """
        changed = []
        taken: set[int] = set()
        for name in PORT_NAMES:
            known = self.ports.get(name)
            if known is not None and known not in taken and claims.take(known):
                taken.add(known)
                continue
            if known is not None:
                changed.append(name)
            self.ports[name] = self._find(name, seed, taken, claims)
            taken.add(self.ports[name])
        return changed

    def _find(self, name: str, seed: str, taken: set[int], claims: Claims) -> int:
        reserved = taken | {port for other, port in self.ports.items() if other != name}
        start = int(seed, 16) % (LAST_PORT - FIRST_PORT - len(PORT_NAMES)) // 32 * 32
        block: Iterable[int] = range(FIRST_PORT, LAST_PORT + 1)
        candidates = [*block][start:] + [*block][:start]
        if name == "web" and self.mode == "local":
            candidates = [*range(WEB_PORT, WEB_PORT + 20), *candidates]
        for port in candidates:
            if port not in reserved and claims.take(port):
                return port
        raise StackError("no free port on 127.0.0.1")


def is_free(port: int) -> bool:
    """Whether nothing listens on this port of 127.0.0.1, TCP and UDP (the DNS server needs both)."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                # A closed connection of ours in TIME_WAIT is not a listener.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def _word() -> str:
    # URL-safe without quoting, also inside configuration files.
    return secrets.token_hex(24)


def _base64() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


class Secrets(BaseModel):
    """`<var>/secrets.json` (0600): made once. A new field gets its value at the next start."""

    secret_key: str = Field(default_factory=lambda: secrets.token_urlsafe(48))
    encryption_key: str = Field(default_factory=_base64)
    postgres: str = Field(default_factory=_word)
    postgres_owner: str = Field(default_factory=_word)
    postgres_app: str = Field(default_factory=_word)
    postgres_system: str = Field(default_factory=_word)
    postgres_mta: str = Field(default_factory=_word)
    postgres_backup: str = Field(default_factory=_word)
    redis: str = Field(default_factory=_word)
    cyrus_admin: str = Field(default_factory=_word)
    cyrus_jwt: str = Field(default_factory=_base64)
    tsig: str = Field(default_factory=_base64)

    @classmethod
    def load_or_make(cls, folder: Path, owner: tuple[int, int] | None = None) -> "Secrets":
        path = folder / "secrets.json"
        stored = json.loads(path.read_text()) if path.exists() else {}
        found = cls.model_validate(stored)
        if found.model_dump() != stored:
            files.write(path, found.model_dump_json(indent=2) + "\n", mode=0o600, owner=owner)
        return found
