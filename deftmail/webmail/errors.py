"""What the webmail refuses, in words for the reader."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from deftmail.kit.errors import Conflict, Forbidden, Unavailable


class NoMailbox(Conflict):
    """Signed in, but without a mailbox of one's own."""

    code = "no-mailbox"
    message = _(
        "The address you signed in with is no mailbox. Mail is read by signing in with a mailbox's own address."
    )


class MailboxDisabled(Forbidden):
    """The owner disabled it."""

    code = "mailbox-disabled"
    message = _("This mailbox is disabled. Nothing in it is lost. Ask an administrator of your company.")


class MailboxNotReady(Unavailable):
    """The engine does not have it yet."""

    code = "mailbox-not-ready"
    message = _("Your mailbox is being set up. This takes a few seconds; the page opens by itself.")


class MailAway(Unavailable):
    """The mail server does not answer."""

    code = "mail-away"
    message = _("The mail server is not answering at the moment. Nothing is lost; it is tried again by itself.")


class TooLarge(Conflict):
    """More than may be attached."""

    code = "attachments-too-large"
    status = 413
    message = _("Attachments may be 25 MB in all. Remove one, or send a link instead.")
