"""Mail for the outside world that the local stack caught instead of sending, read from its Maildir."""

from __future__ import annotations

import email.policy
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

from deftmail.kit.conf import conf

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9.,=_+-]{0,200}$")
_MAX_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True)
class Caught:
    """One caught message, for a list row."""

    name: str
    recipient: str
    sender: str
    subject: str
    when: datetime


@dataclass(frozen=True)
class CaughtMessage:
    """One caught message, opened."""

    caught: Caught
    headers: list[tuple[str, str]]
    text: str


def latest(limit: int = 100) -> list[Caught]:
    """The newest caught messages first."""
    files = sorted(_files(), key=lambda path: path.stat().st_mtime, reverse=True)[:limit]
    return [_caught(path, _parse(path)) for path in files]


def read(name: str) -> CaughtMessage | None:
    """One message by its Maildir name; None when there is none (or the name is none)."""
    if not _NAME.match(name):
        return None
    for path in _files():
        if path.name == name:
            message = _parse(path)
            headers = [(key, _decoded(value)) for key, value in message.items()][:200]
            return CaughtMessage(_caught(path, message), headers, _text(message))
    return None


def _files() -> list[Path]:
    root = Path(conf.outbox_dir) if conf.outbox_dir else None
    if root is None:
        return []
    return [path for folder in ("new", "cur") for path in (root / folder).glob("*") if path.is_file()]


def _parse(path: Path) -> Message:
    with path.open("rb") as file:
        # compat32: the modern policy raises on hostile headers.
        return BytesParser(policy=email.policy.compat32).parsebytes(file.read(_MAX_BYTES))


def _caught(path: Path, message: Message) -> Caught:
    return Caught(
        name=path.name,
        recipient=_decoded(message.get("X-Original-To") or message.get("Delivered-To") or message.get("To") or ""),
        sender=_decoded(message.get("From") or ""),
        subject=_decoded(message.get("Subject") or ""),
        when=datetime.fromtimestamp(path.stat().st_mtime, UTC),
    )


def _decoded(value: object) -> str:
    try:
        return str(make_header(decode_header(str(value))))
    except (ValueError, LookupError):
        return str(value)


def _text(message: Message) -> str:
    for part in message.walk():
        if part.get_content_type() == "text/plain":
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                try:
                    return payload.decode(part.get_content_charset("utf-8"), "replace")
                except LookupError:  # a charset nobody knows
                    return payload.decode("utf-8", "replace")
    return ""
