"""Refusals of this room."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from deftmail.kit.errors import Conflict, Forbidden, Invalid, NotFound


class LinkExpired(NotFound):
    """A link from a mail that is used up, too old, or never was."""

    code = "link-expired"
    status = 410
    message = _("This link was used already or has expired.")


class AddressTaken(Conflict):
    """Said only to somebody who has proven that the address is his."""

    code = "address-taken"
    message = _("There is an account with this address already. Sign in with it.")


class CompanySuspended(Forbidden):
    """A suspended or cancelled company changes nothing; it still receives, reads and exports."""

    code = "company-suspended"
    message = _("Your company is suspended, so nothing can be changed. Receiving and reading mail go on.")


class CompanyCancelled(Forbidden):
    """The API of a cancelled company is closed; export goes on in the console."""

    code = "company-cancelled"
    message = _("This company's contract has ended. The API is closed; the console still exports everything.")


class NoApiAccess(Forbidden):
    """The plan does not include the API and no operator has granted it."""

    code = "no-api-access"
    message = _("Your plan does not include the API. The Business and Enterprise plans do.")


class AddressFixed(Conflict):
    """A mailbox person signs in with the mailbox's address."""

    code = "address-fixed"
    message = _("Your sign-in address is your mailbox's address and cannot be changed.")


class OwnDomain(Invalid):
    """A recovery address inside the company's domains would lie behind the very door it is to open."""

    code = "own-domain"
    message = _("Choose an address outside your company's domains, so that you can read it when you cannot sign in.")
