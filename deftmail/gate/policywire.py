"""Postfix's access policy delegation protocol, as pure values (Postfix SMTPD_POLICY_README).

A request is `name=value` lines and an empty line; the answer is `action=…` and an empty line. Many requests follow
one another on one connection.
"""

from __future__ import annotations

from collections.abc import Mapping

MAX_LINE = 4096
"""Bytes of one line. Postfix cuts its own lines at line_length_limit (2048)."""

MAX_ATTRIBUTES = 100
"""Postfix 3.7 sends about 30."""

MAX_WAITING = 8
"""Requests one connection may pile up: Postfix asks one and waits, a flood is none of its."""

Attributes = Mapping[str, str]


class PolicyError(ValueError):
    """The bytes are no request; close the connection without an answer (Postfix then defers)."""


class PolicyParser:
    """Cuts a byte stream into requests. Holds at most one line and one request's attributes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._attributes: dict[str, str] = {}

    @property
    def is_between_requests(self) -> bool:
        """Nothing of a request has arrived: the connection is merely kept open."""
        return not self._buffer and not self._attributes

    def feed(self, data: bytes) -> list[Attributes]:
        """Add bytes; return the requests they complete, oldest first.

        Raises PolicyError for an over-long line, too many attributes, a line without `=`, an empty request, a NUL, or
        a request that is not `request=smtpd_access_policy`.
        """
        self._buffer += data
        requests: list[Attributes] = []
        start = 0
        while (end := self._buffer.find(b"\n", start)) >= 0:
            line = bytes(self._buffer[start:end])
            start = end + 1
            if len(line) > MAX_LINE:
                raise PolicyError("line too long")
            if line:
                self._add(line)
                continue
            if self._attributes.get("request") != "smtpd_access_policy":
                raise PolicyError("not a policy request")
            requests.append(self._attributes)
            self._attributes = {}
            if len(requests) > MAX_WAITING:
                raise PolicyError("too many requests at once")
        del self._buffer[:start]
        if len(self._buffer) > MAX_LINE:
            raise PolicyError("line too long")
        return requests

    def _add(self, line: bytes) -> None:
        name, separator, value = line.partition(b"=")
        if not separator or not name or b"\0" in line:
            raise PolicyError("not an attribute")
        if len(self._attributes) >= MAX_ATTRIBUTES:
            raise PolicyError("too many attributes")
        try:
            key = name.decode("ascii")
        except UnicodeDecodeError:
            raise PolicyError("not an attribute") from None
        # Postfix never repeats a name. Values may be any bytes a client typed after MAIL FROM: damaged text finds no
        # mailbox, which is a decision and no reason to close.
        self._attributes[key] = value.decode("utf-8", "replace")


def encode_action(action: str) -> bytes:
    """The answer. `action` must be one line of printable ASCII (Postfix puts it into an SMTP reply)."""
    line = "".join(ch if " " <= ch <= "~" else "?" for ch in action)
    return f"action={line}\n\n".encode("ascii")


def encode_request(attributes: Attributes) -> bytes:
    """What Postfix sends (tests and the bench are clients)."""
    lines = [f"{name}={value}\n" for name, value in {"request": "smtpd_access_policy", **attributes}.items()]
    return ("".join(lines) + "\n").encode()
