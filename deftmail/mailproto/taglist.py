"""The tag=value lists that DKIM (RFC 6376 §3.2) and DMARC (RFC 7489 §6.3) records are made of."""

import re

MAX_LENGTH = 8192  # characters; a 4096-bit key is 736, so this is generous and still bounded

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_VALUE = re.compile(r"[\t\r\n !-:<-~]*\Z")  # printable ASCII without ';', and white space

Tags = tuple[tuple[str, str], ...]


class TagListError(ValueError):
    """Not a tag list; ``code`` is ``too_long``, ``bad_tag`` or ``repeated``, ``tag`` the piece at fault."""

    def __init__(self, code: str, tag: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.tag = tag


def parse_tags(text: str) -> Tags:
    """Read ``a=b; c=d;`` in order; names and values stripped, names as written (they are case-sensitive)."""
    if len(text) > MAX_LENGTH:
        raise TagListError("too_long")
    tags: dict[str, str] = {}
    pieces = text.split(";")
    if not pieces[-1].strip(" \t\r\n"):  # one last semicolon is allowed
        pieces.pop()
    for piece in pieces:
        name, equals, value = piece.partition("=")
        name, value = name.strip(" \t\r\n"), value.strip(" \t\r\n")
        if not equals or not _NAME.match(name) or not _VALUE.match(value):
            raise TagListError("bad_tag", "".join(ch if ch.isprintable() else "\ufffd" for ch in piece.strip()[:80]))
        if name in tags:  # RFC 6376 §3.2: duplicates make the whole list invalid
            raise TagListError("repeated", name)
        tags[name] = value
    return tuple(tags.items())


def render_tags(tags: Tags) -> str:
    """Write a tag list; ``parse_tags(render_tags(x)) == x``."""
    return "; ".join(f"{name}={value}" for name, value in tags)
