"""The time zones a person can have."""

from __future__ import annotations

import functools
import zoneinfo


@functools.cache
def zones() -> frozenset[str]:
    """The zones of places, and UTC, as this system's zone data has them; cached: each look reads hundreds of files."""
    named = zoneinfo.available_timezones()
    return frozenset(zone for zone in named if "/" in zone and not zone.startswith("Etc/")) | {"UTC"}
