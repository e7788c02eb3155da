"""What a look at the DNS means for a domain, and when to look again. Pure: states and times in, a verdict out.

pending → (our exact key found) ownership proven → (all four records right) verified → (engine ready) active.
A record that breaks afterwards only *degrades* a domain, after several looks in a row; a DNS failure means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from deftmail.domains.models import Domain
from deftmail.kit.models import SyncState

Status = Domain.Status

FIRST_LOOKS = (timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=5), timedelta(minutes=10))
EVERY_FIRST_DAY = timedelta(minutes=15)
FIRST_DAY = timedelta(days=1)
EVERY_LATER = timedelta(hours=1)
OWNERSHIP_WITHIN = timedelta(days=7)
LOOKS_UNTIL_DEGRADED = 3
"""Looks in a row that must find a break: with the quicker looks after the first, about half an hour."""
EVERY_WHILE_BREAKING = timedelta(minutes=15)


@dataclass(frozen=True)
class Standing:
    """What we knew of a domain before the look."""

    status: str
    proven: bool
    degraded: bool
    failing_looks: int
    check_from: datetime


@dataclass(frozen=True)
class Look:
    """The state of each of the four checks: `pass`, `fail`, `missing` or `unknown`."""

    states: Mapping[str, str]

    @property
    def owned(self) -> bool:
        """Our exact key stands in the DNS, which only the domain's owner can have done."""
        return self.states["dkim"] == "pass"

    @property
    def complete(self) -> bool:
        """All four records are right."""
        return all(state == "pass" for state in self.states.values())

    @property
    def broken(self) -> bool:
        """A record is certainly wrong or gone. A DNS that did not answer is not a break."""
        return any(state in ("fail", "missing") for state in self.states.values())


@dataclass(frozen=True)
class Verdict:
    """What to write. `prove`: this look proves ownership for the first time (the index of holders may still refuse)."""

    status: str
    prove: bool
    degraded: bool
    failing_looks: int
    check_from: datetime
    next_check_at: datetime | None


def next_scheduled(check_from: datetime, now: datetime) -> datetime:
    """The first moment after `now` of: 1, 2, 5, 10 minutes after `check_from`, every 15 for a day, then hourly."""
    for wait in FIRST_LOOKS:
        if check_from + wait > now:
            return check_from + wait
    after_first = check_from + FIRST_LOOKS[-1]
    quarter = after_first + EVERY_FIRST_DAY * ((now - after_first) // EVERY_FIRST_DAY + 1)
    if quarter <= check_from + FIRST_DAY:
        return quarter
    day = check_from + FIRST_DAY
    return day + EVERY_LATER * max(0, (now - day) // EVERY_LATER + 1)


def judge(standing: Standing, look: Look, now: datetime, *, asked: bool = False) -> Verdict:
    """What follows from one look.

    `asked`: a person or a waiting message asked for it. It revives a failed claim and renews the schedule of a pending
    one, and does not count as a look in a row: three clicks on one flake are not three looks.
    """
    if standing.status in (Status.VERIFIED, Status.ACTIVE):
        return _judge_live(standing, look, now, counts=not asked)
    if asked or look.owned:
        standing = replace(standing, status=Status.PENDING, check_from=now if asked else standing.check_from)
    status = standing.status
    if look.owned and look.complete:
        status = Status.VERIFIED
    elif not standing.proven and not look.owned and _ownership_is_late(standing, look, now):
        status = Status.FAILED
    next_check_at = None if status == Status.FAILED else next_scheduled(standing.check_from, now)
    return Verdict(
        status,
        prove=look.owned and not standing.proven,
        degraded=False,
        failing_looks=0,
        check_from=standing.check_from,
        next_check_at=next_check_at,
    )


def _ownership_is_late(standing: Standing, look: Look, now: datetime) -> bool:
    return now >= standing.check_from + OWNERSHIP_WITHIN and look.states["dkim"] != "unknown"


def _judge_live(standing: Standing, look: Look, now: datetime, *, counts: bool) -> Verdict:
    failing, degraded = standing.failing_looks, standing.degraded
    if look.complete:
        failing, degraded = 0, False
    elif look.broken and counts:
        failing = min(failing + 1, LOOKS_UNTIL_DEGRADED)
        degraded = degraded or failing >= LOOKS_UNTIL_DEGRADED
    wait = EVERY_WHILE_BREAKING if failing and not degraded else EVERY_LATER
    return Verdict(
        standing.status,
        prove=False,
        degraded=degraded,
        failing_looks=failing,
        check_from=standing.check_from,
        next_check_at=now + wait,
    )


def is_ready_to_activate(domain: Domain) -> bool:
    """Verified, and the engine has what it needs: mail may flow."""
    return domain.status == Status.VERIFIED and domain.is_proven and domain.sync_state == SyncState.READY
