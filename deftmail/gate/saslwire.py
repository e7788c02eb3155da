"""The saslauthd socket protocol, as pure values: four counted strings in, one counted string out.

Cyrus SASL's saslauthd(8), `mux` framing: login, password, service, realm, each a 16-bit big-endian length and that
many bytes; the answer is one such string that begins with `OK` or `NO`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_FIELD = 1024
"""Bytes of one field. An address is at most 254, a password that bcrypt reads at most 72."""

_FIELDS = 4


class FrameError(ValueError):
    """The bytes are no question; close the connection without an answer."""


@dataclass(frozen=True)
class Question:
    """One password to check, as bytes decoded. `password` never shows in a repr."""

    login: str
    password: str = field(repr=False)
    service: str
    realm: str

    @property
    def address(self) -> str:
        """The login with its realm where the caller split them (Cyrus does, Postfix does not), lower case."""
        login = self.login.strip().lower()
        realm = self.realm.strip().lower()
        return f"{login}@{realm}" if realm and "@" not in login else login


class FrameParser:
    """Collects bytes until the four fields are there. One question per connection, so nothing may follow."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Question | None:
        """Add bytes; return the question once complete.

        Raises FrameError for a field over `MAX_FIELD`, text that is not UTF-8, a NUL, or bytes after the last field.
        """
        self._buffer += data
        fields: list[bytes] = []
        position = 0
        while len(fields) < _FIELDS:
            if len(self._buffer) - position < 2:
                return None
            length = int.from_bytes(self._buffer[position : position + 2], "big")
            # Judged before its bytes arrive: the buffer never outgrows four legal fields and one read.
            if length > MAX_FIELD:
                raise FrameError("field too long")
            if len(self._buffer) - position - 2 < length:
                return None
            fields.append(bytes(self._buffer[position + 2 : position + 2 + length]))
            position += 2 + length
        if position != len(self._buffer):
            raise FrameError("bytes after the question")
        if any(b"\0" in each for each in fields):
            raise FrameError("NUL in a field")
        try:
            login, password, service, realm = (each.decode() for each in fields)
        except UnicodeDecodeError:
            raise FrameError("not UTF-8") from None
        return Question(login, password, service, realm)


def encode_question(login: str, password: str, service: str, realm: str) -> bytes:
    """The frame a client sends (tests, bench and the health probe are clients)."""
    return b"".join(
        len(raw).to_bytes(2, "big") + raw for raw in (s.encode() for s in (login, password, service, realm))
    )


def encode_answer(text: str) -> bytes:
    """`OK …` or `NO …` as the caller reads it."""
    raw = text.encode()
    return len(raw).to_bytes(2, "big") + raw
