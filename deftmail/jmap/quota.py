"""Storage quota: RFC 9425 on one engine, an older draft under Cyrus's own name on the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deftmail.jmap.values import as_count, as_objects, as_optional_count, as_texts


@dataclass(frozen=True, slots=True)
class Quota:
    """Bytes used and allowed; ``total`` None means no limit."""

    used: int
    total: int | None

    @property
    def percent(self) -> int | None:
        """Whole percent used, rounded down, None without a limit."""
        if self.total is None:
            return None
        return 100 if self.total == 0 else self.used * 100 // self.total


def read_quotas(data: dict[str, Any]) -> Quota | None:
    """The quota of mail storage in octets among those of an account (messages may be counted too)."""
    for item in as_objects(data.get("list")):
        if "resourceType" in item:  # RFC 9425 §4.1
            if item["resourceType"] != "octets" or not {"Email", "Mail"} & set(as_texts(item.get("types"))):
                continue
            return Quota(as_count(item.get("used")), as_optional_count(item.get("hardLimit")))
        if item.get("id") == "mail":
            return Quota(as_count(item.get("used")), as_optional_count(item.get("total")))
    return None
