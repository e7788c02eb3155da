"""Why something about a domain is refused."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from deftmail.kit.conf import conf
from deftmail.kit.errors import Conflict, Invalid, LimitReached


class DomainInvalid(Invalid):
    """Not a name that can be hosted: `reason` is the parser's code (`public_suffix`, `bad_label` …)."""

    code = "domain-invalid"
    message = _("This is not a domain name that can receive mail.")

    def __init__(self, message: str | Promise, *, reason: str) -> None:
        super().__init__(message, field="domain", reason=reason)


class DomainExists(Conflict):
    """The company has this domain already."""

    code = "domain-exists"
    message = _("Your company has already added this domain.")

    def __init__(self) -> None:
        super().__init__(field="domain")


class DomainTaken(Conflict):
    """Another company has proven it; which one is not told."""

    code = "domain-taken"
    message = _("This domain is already in use here. If it is yours, write to support and we will find out together.")

    def __init__(self) -> None:
        super().__init__(field="domain")


class DomainLimitReached(LimitReached):
    """The plan's number of domains is used up."""

    code = "domain-limit-reached"

    def __init__(self, limit: int) -> None:
        text = ngettext(
            "Your plan includes %(limit)d domain, and it is in use. Delete it, or write to %(support)s for more.",
            "Your plan includes %(limit)d domains, and all are in use. Delete one, or write to %(support)s for more.",
            limit,
        ) % {"limit": limit, "support": conf.support_email}
        super().__init__(text, field="domain", limit=limit)


class DomainHoldsAddresses(Conflict):
    """Mailboxes would be destroyed that the confirmation does not name."""

    code = "domain-holds-addresses"
    message = _("This domain holds mailboxes. Name each of them to delete them with their mail.")

    def __init__(self, addresses: Sequence[str]) -> None:
        super().__init__(field="addresses", addresses=list(addresses))


class ConfirmationMismatch(Invalid):
    """What was typed is not the domain's name."""

    code = "confirmation-mismatch"
    message = _("Type the name of the domain to confirm. Nothing was changed.")

    def __init__(self) -> None:
        super().__init__(field="confirm")
