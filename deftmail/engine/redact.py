"""Takes secrets out of text that goes to a log: the ones we know of a call, and whatever looks like one."""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "[hidden]"
_SHAPES = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{1,53}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"),  # a JSON web token
    re.compile(r"(?i)(?<=bearer )[A-Za-z0-9._~+/=-]+|(?<=basic )[A-Za-z0-9+/=]+"),
    re.compile(r"(?<=//)[^/\s:@]*:[^/\s@]+(?=@)"),  # user:password of a URL
)
MAX_TEXT = 500  # characters of an error worth a log line


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without `secrets` and without anything shaped like a key, hash or token, on one line, cut."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, HIDDEN)
    for shape in _SHAPES:
        text = shape.sub(HIDDEN, text)
    return " ".join(text.split())[:MAX_TEXT]
