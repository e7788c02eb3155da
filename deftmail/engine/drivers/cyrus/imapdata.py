"""IMAP's data syntax (RFC 9051 §4), as far as answers to an administrator use it."""

from __future__ import annotations

from typing import TypeAlias

from deftmail.engine.errors import EngineRefused, EngineUnavailable

Node: TypeAlias = "str | list[Node] | None"
MAX_DEPTH = 20


def quote(text: str) -> str:
    """`text` as a quoted string (RFC 9051 §4.3). Raises EngineRefused for what one cannot carry: with a line break
    in it, a name would be a command of its own."""
    if not text.isascii() or not text.isprintable():
        raise EngineRefused(f"cannot be said in IMAP: {text[:80]!r}")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def parse(line: bytes) -> list[Node]:
    """The values of one untagged response: atoms and quoted strings are str, NIL is None, lists are lists.

    Raises EngineUnavailable for what is no IMAP: a broken answer is no answer.
    """
    position = 0
    text = line.decode("utf-8", "replace")

    def value(depth: int) -> Node:
        nonlocal position
        if text[position] == "(":
            position += 1
            return sequence(")", depth + 1)
        if text[position] == '"':
            return quoted()
        start = position
        while position < len(text) and text[position] not in ' ()"':
            position += 1
        if start == position:
            raise EngineUnavailable(f"broken IMAP answer: {text[:80]!r}")
        atom = text[start:position]
        return None if atom == "NIL" else atom

    def quoted() -> str:
        nonlocal position
        position += 1
        out: list[str] = []
        while position < len(text):
            char = text[position]
            position += 1
            if char == '"':
                return "".join(out)
            if char == "\\" and position < len(text):
                char = text[position]
                position += 1
            out.append(char)
        raise EngineUnavailable(f"broken IMAP answer: {text[:80]!r}")

    def sequence(end: str, depth: int) -> list[Node]:
        nonlocal position
        if depth > MAX_DEPTH:
            raise EngineUnavailable("IMAP answer nested too deep")
        found: list[Node] = []
        while True:
            while position < len(text) and text[position] == " ":
                position += 1
            if position >= len(text):
                if end:
                    raise EngineUnavailable(f"broken IMAP answer: {text[:80]!r}")
                return found
            if text[position] == end:
                position += 1
                return found
            found.append(value(depth))

    return sequence("", 0)
