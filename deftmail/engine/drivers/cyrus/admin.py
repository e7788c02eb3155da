"""The administrator's IMAP connection to Cyrus: mailboxes, quotas, the note we keep with a mailbox.

One connection serves one operation (or one batch) and is closed after it: idle administrators would take Cyrus'
processes, and a connection is made in a millisecond on loopback.
"""

from __future__ import annotations

import imaplib
import re
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import NamedTuple
from uuid import UUID

from deftmail.engine.drivers.cyrus.imapdata import Node, parse, quote
from deftmail.engine.errors import EngineAuthFailed, EngineBusy, EngineError, EngineRefused, EngineUnavailable
from deftmail.engine.names import checked_address, checked_domain

# RFC 5464 §4; imaplib knows the states in which a command may be sent from this table.
for _command in ("SETMETADATA", "GETMETADATA"):
    imaplib.Commands.setdefault(_command, ("AUTH", "SELECTED"))

# An annotation private to the administrator: the mailbox's own person can neither see nor change it (measured on
# 3.6.1), which a shared one would allow, and it dies with the mailbox.
NOTE_ENTRY = "/private/comment"
KIB = 1024
DELETE_WAITS = (0.1, 0.2, 0.4, 0.8, 1.6)  # seconds between looks at a mailbox that another worker is erasing
_ALREADY = re.compile(r"already exists", re.IGNORECASE)
_ABSENT = re.compile(r"does not exist|nonexistent|unknown mailbox", re.IGNORECASE)
_TEMPORARY = re.compile(
    r"\[(?:UNAVAILABLE|INUSE|LIMIT|CONTACTADMIN|SERVERBUG)\]|locked|system i/o|again", re.IGNORECASE
)


class Note(NamedTuple):
    """What we keep with a mailbox: the id it was made for (None: not by us), and a mark of the password with which its
    people may be signed in ("": nothing is known)."""

    made_for: UUID | None = None
    password: str = ""

    def __str__(self) -> str:
        return f"{self.made_for} {self.password}".rstrip()

    @classmethod
    def parse(cls, text: str) -> Note:
        """The note of that text; an empty one where it is not ours."""
        made_for, _, password = text.partition(" ")
        try:
            return cls(UUID(made_for), password)
        except ValueError:
            return cls()


class Refused(EngineRefused):
    """`NO` or `BAD` to one command."""

    @property
    def already(self) -> bool:
        return bool(_ALREADY.search(str(self)))

    @property
    def absent(self) -> bool:
        return bool(_ABSENT.search(str(self)))


def mailbox_name(address: str) -> str:
    """Cyrus' name of the INBOX of `address` (`unixhierarchysep: yes`, `virtdomains: userid`)."""
    return f"user/{checked_address(address)}"


class AdminSession:
    """A signed-in administrator; a context manager. Raises only EngineError."""

    def __init__(self, host: str, port: int, user: str, password: str, *, timeout: float = 15.0) -> None:
        self._where = (host, port)
        self._user, self._password = user, password
        self._timeout = timeout
        self._imap: imaplib.IMAP4 | None = None

    def __enter__(self) -> AdminSession:
        try:
            self._imap = imaplib.IMAP4(*self._where, timeout=self._timeout)
        except (OSError, imaplib.IMAP4.error) as error:
            raise EngineUnavailable(f"administration IMAP at {self._where[0]}:{self._where[1]}: {error}") from error
        try:
            self._imap.login(self._user, self._password)
        except (OSError, imaplib.IMAP4.abort) as error:
            self.close()
            raise EngineUnavailable(f"administration IMAP: {error}") from error
        except imaplib.IMAP4.error as error:
            self.close()
            raise EngineAuthFailed("the administrator is refused") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye; a broken connection is simply dropped."""
        imap, self._imap = self._imap, None
        if imap is None:
            return
        try:
            imap.logout()
        except (OSError, imaplib.IMAP4.error):
            imap.shutdown()

    @property
    def welcome(self) -> str:
        """The server's greeting, which names its version."""
        return self._connection.welcome.decode("ascii", "replace")

    @property
    def _connection(self) -> imaplib.IMAP4:
        if self._imap is None:
            raise EngineUnavailable("the administration connection is closed")
        return self._imap

    def _run(self, command: str, *arguments: str, answer: str = "") -> list[list[Node]]:
        """Send one command; the untagged `answer` responses, parsed. Raises Refused for NO and BAD."""
        imap = self._connection
        try:
            imap.response(answer or command)  # what an earlier command left behind
            kind, data = imap._simple_command(command, *arguments)
            lines = imap.response(answer)[1] if answer else []
        except (OSError, imaplib.IMAP4.abort) as error:
            raise EngineUnavailable(f"{command}: {error}") from error
        except imaplib.IMAP4.error as error:
            raise self._refusal(command, str(error)) from error
        if kind != "OK":
            raise self._refusal(command, b" ".join(part for part in data if isinstance(part, bytes)).decode())
        return [parse(line) for line in _joined(lines)]

    @staticmethod
    def _refusal(command: str, text: str) -> EngineError:
        if _TEMPORARY.search(text):
            return EngineBusy(f"{command}: {text}")
        return Refused(f"{command}: {text}")

    # mailboxes

    def find(self, address: str) -> Note | None:
        """The note of the mailbox; None when there is no such mailbox."""
        try:
            lines = self._run("GETMETADATA", quote(mailbox_name(address)), f"({NOTE_ENTRY})", answer="METADATA")
        except Refused as error:
            if error.absent:
                return None
            raise
        return next((_note_in(line) for line in lines), Note())

    def create(self, address: str, note: Note) -> None:
        """Make the mailbox and keep the note with it. Another worker may have been faster."""
        name = mailbox_name(address)
        try:
            self._run("CREATE", quote(name))
        except Refused as error:
            if not error.already:
                raise
        self.set_note(address, note)

    def set_note(self, address: str, note: Note) -> None:
        """Keep `note` with the mailbox."""
        self._run("SETMETADATA", quote(mailbox_name(address)), f"({NOTE_ENTRY} {quote(str(note))})")

    def delete(self, address: str, made_for: UUID) -> None:
        """Erase the mailbox that was made for this id, with its folders, scripts and mail. Absent is success.

        Raises EngineBusy while somebody else is erasing it and does not come to an end.
        """
        name = quote(mailbox_name(address))
        refusal = ""
        for wait in DELETE_WAITS:
            # Looked at anew each time: what another worker made meanwhile is not ours to erase.
            if not self._is_made_for(address, made_for):
                return
            try:
                # The administrator has no right to delete a person's mailbox until he gives it to himself.
                self._run("SETACL", name, quote(self._user), "lrxc")
                self._run("DELETE", name)
            except Refused as error:
                refusal = str(error)
                time.sleep(wait)
            else:
                return
        if self._is_made_for(address, made_for):
            raise EngineBusy(refusal)

    def _is_made_for(self, address: str, mailbox_id: UUID) -> bool:
        note = self.find(address)
        return note is not None and note.made_for == mailbox_id

    def list_all(self, domain: str | None = None) -> Iterator[tuple[str, UUID | None]]:
        """Address and id of every mailbox (of one domain). Complete: the command's OK has been seen."""
        pattern = "user/%" if domain is None else f"user/%@{checked_domain(domain)}"
        imap = self._connection
        imap.response("METADATA")
        listed = self._run("LIST", '""', quote(pattern), f"RETURN (METADATA ({NOTE_ENTRY}))", answer="LIST")
        try:
            noted = [parse(line) for line in _joined(imap.response("METADATA")[1])]
        except (OSError, imaplib.IMAP4.error) as error:
            raise EngineUnavailable(f"LIST: {error}") from error
        notes = {line[0]: _note_in(line) for line in noted if line and isinstance(line[0], str)}
        for line in listed:
            name = line[2] if len(line) == 3 else None
            if isinstance(name, str) and name.startswith("user/") and "@" in name:
                yield name.removeprefix("user/"), notes.get(name, Note()).made_for

    # quota

    def set_quota(self, address: str, quota_mb: int | None) -> None:
        """Set the limit in MiB; None takes it away. STORAGE counts KiB (RFC 9208 §5.1)."""
        limits = "()" if quota_mb is None else f"(STORAGE {quota_mb * KIB})"
        self._run("SETQUOTA", quote(mailbox_name(address)), limits)

    def quota(self, address: str) -> tuple[int, int | None] | None:
        """Used bytes and limit in bytes (None: unlimited); None when there is no such mailbox."""
        name = mailbox_name(address)
        try:
            lines = self._run("GETQUOTA", quote(name), answer="QUOTA")
        except Refused as error:
            if not error.absent:
                raise
            lines = []
        for line in lines:
            values = line[1] if len(line) > 1 and isinstance(line[1], list) else []
            if len(values) >= 3 and values[0] == "STORAGE":
                return int(str(values[1])) * KIB, int(str(values[2])) * KIB
        used = self._size(name)
        return None if used is None else (used, None)

    def _size(self, name: str) -> int | None:
        """Bytes in all folders, for a mailbox without a quota (whose usage Cyrus does not tell); None: no mailbox."""
        local, _, domain = name.rpartition("@")
        patterns = f"({quote(name)} {quote(f'{local}/*@{domain}')})"
        lines = self._run("LIST", '""', patterns, "RETURN (STATUS (SIZE))", answer="STATUS")
        total = None
        for line in lines:
            values = line[1] if len(line) > 1 and isinstance(line[1], list) else []
            if len(values) == 2 and values[0] == "SIZE":
                total = (total or 0) + int(str(values[1]))
        return total


def _joined(lines: Sequence[object]) -> Iterator[bytes]:
    """imaplib's untagged data: bytes, or a (text, literal) pair that goes on in the next entry."""
    held = b""
    for line in lines:
        if isinstance(line, tuple):
            text, literal = line
            held += text[: text.rindex(b"{")] + quote_bytes(literal)
        elif isinstance(line, bytes):
            yield held + line
            held = b""
    if held:
        yield held


def quote_bytes(literal: bytes) -> bytes:
    """A literal as the quoted string it might have been."""
    return b'"' + literal.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _note_in(line: list[Node]) -> Note:
    values = line[1] if len(line) > 1 and isinstance(line[1], list) else []
    for name, value in zip(values[::2], values[1::2], strict=False):
        if name == NOTE_ENTRY and isinstance(value, str):
            return Note.parse(value)
    return Note()
