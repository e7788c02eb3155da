"""The one form in which an address is kept and looked up: lower case, the domain in A-labels."""

from __future__ import annotations

from django.utils.translation import gettext

from deftmail.kit.errors import Invalid
from deftmail.mailproto.addresses import parse_address
from deftmail.mailproto.errors import AddressError

MAX_TYPED = 320  # what somebody types at sign-in and is no address is counted like any other, cut to this


def canonical(text: str, *, field: str = "email") -> str:
    """The address as `users.email` and `mail_users.email` hold it. Raises Invalid on `field`."""
    try:
        return parse_address(text).ascii.lower()
    except AddressError as error:
        raise Invalid(error.said(gettext), field=field) from None


def as_typed(text: str) -> str:
    """As `canonical`, but text that is no address comes back cut and finds nobody. For sign-in, as the gate does it."""
    try:
        return parse_address(text).ascii.lower()
    except AddressError:
        return text.strip().lower()[:MAX_TYPED]


def domain_of(address: str) -> str:
    """The part behind the @."""
    return address.rpartition("@")[2]
