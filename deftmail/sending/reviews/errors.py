"""Refusals of this part."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from deftmail.kit.errors import Conflict


class AlreadyAsked(Conflict):
    """One open case per block, and one open request for more."""

    code = "already-asked"
    message = _("You have asked already. A person looks at it; the answer comes by mail and stands on this page.")


class BlockOver(Conflict):
    """The block has ended or was lifted."""

    code = "block-over"
    message = _("This block is over: sending works again.")


class CaseDecided(Conflict):
    """Somebody was faster."""

    code = "case-decided"
    message = _("This case is decided already.")
