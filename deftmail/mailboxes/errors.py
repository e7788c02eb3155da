"""Why something about a mailbox is refused."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from deftmail.kit.conf import conf
from deftmail.kit.errors import Conflict, Invalid, LimitReached


class AddressInvalid(Invalid):
    """Not an address we give out: `reason` is the parser's code (`local_plus`, `bad_label` …)."""

    code = "address-invalid"
    message = _("This is not an email address that a mailbox can have.")

    def __init__(self, message: str | Promise, *, reason: str) -> None:
        super().__init__(message, field="email", reason=reason)


class AddressTaken(Conflict):
    """The company has a mailbox of this address already."""

    code = "address-taken"
    message = _("There is already a mailbox with this address.")

    def __init__(self) -> None:
        super().__init__(field="email")


class DomainNotYours(Invalid):
    """The company has no such domain. The same answer for a domain of another company and for one nobody has."""

    code = "domain-not-yours"

    def __init__(self, name: str) -> None:
        text = _("%(domain)s is not one of your domains. Add it under Domains first.") % {"domain": name}
        super().__init__(text, field="email")


class DomainNotProven(Conflict):
    """Mailboxes are made once our DKIM key was found, or addresses could be squatted."""

    code = "domain-not-proven"

    def __init__(self, name: str) -> None:
        text = _(
            "%(domain)s is not proven to be yours yet. Publish its DKIM record, then press “Check now” on its page."
        ) % {"domain": name}
        super().__init__(text, field="email")


class MailboxLimitReached(LimitReached):
    """The plan's number of mailboxes is used up."""

    code = "mailbox-limit-reached"

    def __init__(self, limit: int) -> None:
        text = ngettext(
            "Your plan includes %(limit)d mailbox, and it is in use. Delete it, or write to %(support)s for more.",
            "Your plan includes %(limit)d mailboxes, and all are in use. Delete one, or write to %(support)s for more.",
            limit,
        ) % {"limit": limit, "support": conf.support_email}
        super().__init__(text, field="email", limit=limit)


class DomainMailboxLimitReached(LimitReached):
    """The plan's number of mailboxes in one domain is used up."""

    code = "domain-mailbox-limit-reached"

    def __init__(self, domain: str, limit: int) -> None:
        text = ngettext(
            "Your plan allows %(limit)d mailbox in %(domain)s, and it is in use.",
            "Your plan allows %(limit)d mailboxes in %(domain)s, and all are in use.",
            limit,
        ) % {"limit": limit, "domain": domain}
        super().__init__(text, field="email", limit=limit)


class QuotaInvalid(Invalid):
    """More than the plan's storage, or nothing at all."""

    code = "quota-invalid"

    def __init__(self, ceiling: int | None) -> None:
        text = (
            _("Enter a size of at least 1 MB.")
            if ceiling is None
            else _("Enter a size between 1 MB and your plan's %(limit)s MB.") % {"limit": ceiling}
        )
        super().__init__(text, field="quota_mb", limit=ceiling)


class PasswordRefused(Invalid):
    """Weak, leaked, too short, or over bcrypt's 72 bytes: `reason` says which."""

    code = "password-refused"

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message, field="password", reason=reason)


class PersonHasMailbox(Conflict):
    """One person, one mailbox."""

    code = "person-has-mailbox"
    message = _("The person who signs in with this address already has a mailbox.")

    def __init__(self) -> None:
        super().__init__(field="email")


class OwnPassword(Conflict):
    """The password of one's own console account changes on the account page, where the present one is asked."""

    code = "own-password"
    message = _("This mailbox shares your own password. Change it under Account, where your present one is asked for.")


class SuspendedByOperator(Conflict):
    """A suspension is lifted by whoever ordered it."""

    code = "mailbox-suspended"
    message = _("This mailbox is suspended by the operator. Write to support to have that lifted.")


class ConfirmationMismatch(Invalid):
    """What was typed is not the mailbox's address."""

    code = "confirmation-mismatch"
    message = _("Type the address of the mailbox to confirm. Nothing was changed.")

    def __init__(self) -> None:
        super().__init__(field="confirm")
