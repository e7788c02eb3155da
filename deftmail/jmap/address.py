"""Addresses in message headers (RFC 8621 §4.1.2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator

from deftmail.jmap.values import MAX_ITEMS, as_line

MAX_NAME = 500
MAX_EMAIL = 1_000


@dataclass(frozen=True, slots=True)
class Address:
    """A name (possibly empty) and an address. From hostile mail both are any text, but never long."""

    email: str
    name: str = ""

    @property
    def label(self) -> str:
        """What a list shows."""
        return self.name.strip() or self.email

    @property
    def key(self) -> str:
        """For comparing two addresses; local parts differ in case only on paper."""
        return self.email.strip().casefold()

    def as_jmap(self) -> dict[str, str | None]:
        return {"name": self.name or None, "email": self.email}


def as_addresses(value: object) -> tuple[Address, ...]:
    """At most ``MAX_ITEMS`` addresses; entries without an address (an empty group) are dropped."""
    if not isinstance(value, list):
        return ()
    return tuple(
        [
            Address(email, as_line(item.get("name"))[:MAX_NAME])
            for item in value[:MAX_ITEMS]
            if isinstance(item, dict) and (email := as_line(item.get("email"))[:MAX_EMAIL])
        ]
    )


def without_duplicates(addresses: tuple[Address, ...], taken: set[str]) -> tuple[Address, ...]:
    """Those not in ``taken``, each once; ``taken`` grows by them."""
    kept = []
    for address in addresses:
        if address.key not in taken:
            taken.add(address.key)
            kept.append(address)
    return tuple(kept)


Addresses = Annotated[tuple[Address, ...], BeforeValidator(as_addresses)]
