"""Names that people give: of themselves, of a company, of a key."""

from __future__ import annotations

import re

# A control character makes every message of the mailbox unsendable; a change of direction makes its name read as
# another in the recipient's list. What joins letters and emoji (category Cf too) stays: Persian names need it.
_NOT_IN_A_NAME = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(name: str) -> str:
    """The name on one line, without what no name holds; "" when nothing that can be seen is left."""
    line = " ".join(_NOT_IN_A_NAME.sub(" ", name).split())
    return line if any(letter.isprintable() for letter in line) else ""
