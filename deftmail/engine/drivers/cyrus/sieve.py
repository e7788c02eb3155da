"""The one Sieve script of each mailbox (RFC 5228), written by us and replaced whole.

It is composed of blocks in a fixed order: spam first, so that no rule of a person can pull it back into the inbox
unseen; filters, forwarding and the absence notice are further blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEADER = "# Written by DeftMail. Changes made here are lost."


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a script: what it requires (RFC 5228 §3.2 wants that on top) and its commands."""

    name: str
    requires: tuple[str, ...]
    commands: str


# rspamd marks spam with this header and takes away the ones that arrive. By special use (RFC 8579 §4), because people
# may rename the folder; `fileinto` alone as the fallback goes to the name the folder is made with.
SPAM = Block(
    "spam",
    ("fileinto", "special-use"),
    """if header :is "X-Spam" "Yes" {
  fileinto :specialuse "\\\\Junk" "Junk";
  stop;
}""",
)


def compose(blocks: Sequence[Block] = (SPAM,)) -> str:
    """The text of a script: the same blocks give the same text, so that comparing it says whether to upload."""
    required = sorted({extension for block in blocks for extension in block.requires})
    lines = [HEADER]
    if required:
        lines.append("require [" + ", ".join(f'"{extension}"' for extension in required) + "];")
    for block in blocks:
        lines += [f"# {block.name}", block.commands]
    return "\n".join(lines) + "\n"
