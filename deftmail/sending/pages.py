"""What the sending pages say, worked out here so that templates only lay it out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.pages import shown_address
from deftmail.mailproto.names import parse_domain
from deftmail.sending.meters import Shown
from deftmail.sending.models import Block, ReviewCase
from deftmail.sending.selectors import DEFAULT_SORT, sorted_mailboxes

__all__ = ["DEFAULT_SORT", "BlockLine", "Line", "block_lines", "sorted_mailboxes"]


@dataclass
class Line:
    """A mailbox in the list, with its meters by the name of the limit (empty while they are not known)."""

    mailbox: MailUser
    meters: dict[str, Shown]

    @property
    def address(self) -> str:
        return shown_address(self.mailbox)

    @property
    def day(self) -> Shown | None:
        """Recipients in 24 hours."""
        return self.meters.get("mailbox_day")


@dataclass
class BlockLine:
    """A block as its owner reads it, with what he has asked about it."""

    block: Block
    case: ReviewCase | None = None

    @property
    def title(self) -> str:
        """What is stopped."""
        block = self.block
        if block.mail_user is not None:
            return _("Sending from %(name)s is stopped") % {"name": shown_address(block.mail_user)}
        if block.domain is not None:
            return _("Sending from %(name)s is stopped") % {"name": parse_domain(block.domain.domain).unicode}
        return _("Sending from your company is stopped")

    @property
    def asked(self) -> bool:
        """Whether a person looks at it already."""
        return self.case is not None and self.case.is_open


def block_lines(blocks: Iterable[Block], cases: Sequence[ReviewCase]) -> list[BlockLine]:
    """Blocks with the latest case about each."""
    latest: dict[UUID, ReviewCase] = {}
    for case in cases:  # newest first
        if case.block_id is not None:
            latest.setdefault(case.block_id, case)
    return [BlockLine(block, latest.get(block.pk)) for block in blocks]
