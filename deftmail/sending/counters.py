"""Decisions and meters for callers that may wait: pages, API, commands, jobs. The gate has its own asyncio way to the
same script. Every function blocks for at most half a second on Redis."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import redis
import structlog

from deftmail.domains.models import Domain
from deftmail.kit import ratelimit
from deftmail.kit.conf import conf
from deftmail.kit.database import DATABASE_AWAY
from deftmail.mailboxes.models import MailUser
from deftmail.sending import decisions, facts, script
from deftmail.sending.decisions import Code, Door
from deftmail.sending.limits import ALLOWED, BY_NAME, LIMITS, MIRRORED, Decision, Meter, Subject, Whose, chargeable
from deftmail.sending.models import RateLimit
from deftmail.sending.selectors import system
from deftmail.tenants.models import Tenant

log = structlog.get_logger(__name__)

DAY_BUCKETS = 24
MIRRORED_AT_ONCE = 500
UNAVAILABLE = Decision(Code.LATER, decisions.UNAVAILABLE.reason, decisions.UNAVAILABLE.sentence)


class CountersAway(Exception):
    """Redis cannot be asked now: what is used is not known."""


@functools.cache
def pepper() -> bytes:
    """The key of recipients' digests."""
    return hashlib.blake2b(
        conf.secret_key.get_secret_value().encode(), digest_size=32, person=b"snd-recipient"
    ).digest()


def digests_of(recipients: Iterable[str]) -> list[int]:
    """Recipients as the script wants them."""
    key = pepper()
    return [script.digest(each, key) for each in recipients]


def peek(address: str, recipients: Sequence[str]) -> Decision:
    """May this mailbox send to these (canonical addresses) now? Charges nothing, and answers `UNAVAILABLE` rather than
    raise while Redis or PostgreSQL is away."""
    return _decide(address, recipients, "")


def decide(address: str, recipients: Sequence[str], queue_id: str) -> Decision:
    """The same, and charged when allowed. The same `queue_id` is charged once; `give_back` undoes it."""
    return _decide(address, recipients, queue_id)


def _decide(address: str, recipients: Sequence[str], queue_id: str) -> Decision:
    try:
        sender = facts.sender(address)
        verdict = decisions.may_send(Door.SUBMISSION, address, sender, address)
        if not verdict.allowed or sender is None or sender.subject is None:
            return Decision(verdict.code, verdict.reason, verdict.sentence, help_url=verdict.help_url)
        outside = chargeable(recipients, sender.subject.own_domains)
        if not outside:
            return ALLOWED
        call = script.call(sender.subject, digests_of(outside), queue_id=queue_id, followed=False)
        return script.read(run(call), sender.subject, len(outside), facts.help_url())
    except (redis.RedisError, CountersAway, *DATABASE_AWAY) as error:
        log.warning("sending_unavailable", error=type(error).__name__)
        return UNAVAILABLE


def give_back(queue_id: str) -> bool:
    """Undo a charge. False when there is none (any more). Raises redis.RedisError."""
    return bool(_register(script.GIVE_BACK)(keys=[script.charge_key(queue_id)]))


def run(call: script.Call) -> list[int]:
    """The script's answer; a Redis that lost its data is filled first. Raises redis.RedisError."""
    for _attempt in (1, 2):
        answer = cast("list[int]", _register(script.CHARGE)(keys=call.keys, args=call.args))
        if answer[0] != -1:
            return answer
        refill()
    raise CountersAway


@functools.cache
def _register(lua: str) -> Any:
    return ratelimit.client().register_script(lua)


# Meters


def usage_of_mailboxes(mailboxes: Sequence[MailUser]) -> dict[UUID, list[Meter]]:
    """The same for a page of one company's mailboxes (`tenant` selected), in one round trip. Raises CountersAway."""
    subjects = [_mailbox_subject(each) for each in mailboxes]
    lua = _register(script.CHARGE)
    try:
        pipe = ratelimit.client().pipeline(transaction=False)
        for subject in subjects:
            call = script.call(subject, [], meters=True)
            lua(keys=call.keys, args=call.args, client=pipe)
        answers = pipe.execute() if subjects else []
    except redis.RedisError as error:
        raise CountersAway from error
    if any(answer[0] == -1 for answer in answers):
        raise CountersAway
    return {
        mailbox.pk: script.read_meters(answer, subject)
        for mailbox, answer, subject in zip(mailboxes, answers, subjects, strict=True)
    }


def usage_of_mailbox(mailbox: MailUser) -> list[Meter]:
    """Every counter a mailbox (`tenant` selected) is charged to, its domain's too. Raises CountersAway."""
    return _meters(_mailbox_subject(mailbox))


def usage_of_domain(domain: Domain) -> list[Meter]:
    """The counters a domain's mailboxes share. Raises CountersAway."""
    return [meter for meter in _meters(_domain_subject(domain)) if BY_NAME[meter.name].whose is Whose.DOMAIN]


def _mailbox_subject(mailbox: MailUser) -> Subject:
    return Subject(
        str(mailbox.tenant_id), str(mailbox.pk), str(mailbox.domain_id), _maxima(mailbox.tenant), frozenset()
    )


def _domain_subject(domain: Domain) -> Subject:
    return Subject(str(domain.tenant_id), "none", str(domain.pk), _maxima(domain.tenant), frozenset())


def _maxima(company: Tenant) -> tuple[int | None, ...]:
    return tuple(getattr(company, limit.column) for limit in LIMITS)


def _meters(subject: Subject) -> list[Meter]:
    try:
        return script.read_meters(run(script.call(subject, [], meters=True)), subject)
    except redis.RedisError as error:
        raise CountersAway from error


# The mirror


def refill() -> int:
    """Give a Redis that came back empty what the mirror knows; the number of counters' hours. Safe to repeat and to run
    twice at once: nothing is charged until it is done. Raises redis.RedisError and what PostgreSQL raises.

    The mirror knows hours. So the running hour's limit gets all of the last two hours as if used now: never over. It
    does not know whom a mailbox has written to: for a day recipients are learnt anew and none counts as new.
    """
    client = ratelimit.client()
    moment = time.time()
    hour = int(moment // 3600)
    pipe = client.pipeline(transaction=False)
    recent: dict[str, int] = {}
    rows = 0
    by_name = {limit.name: limit for limit in MIRRORED}
    for row in system.mirror_rows(datetime.fromtimestamp((hour - DAY_BUCKETS) * 3600, UTC)):
        limit = by_name.get(row.limit_type)
        if limit is None or row.current_count <= 0:
            continue
        key = _key_of(row)
        number = int(row.hour.timestamp() // 3600)
        pipe.hsetnx(key, f"{limit.code}:{number}", row.current_count)  # type: ignore[no-untyped-call, unused-ignore]
        pipe.expire(key, 93600)
        if limit.name == "mailbox_day" and number >= hour - 1:
            recent[key] = recent.get(key, 0) + row.current_count
        rows += 1
        if rows % 1000 == 0:
            pipe.execute()
    for key, count in recent.items():
        pipe.hsetnx(key, f"h:{int(moment // 300)}", count)  # type: ignore[no-untyped-call, unused-ignore]
    if rows:  # else it is the first start, and nothing was forgotten
        pipe.set(script.LEARNING, 1, ex=script.LEARNS_FOR)
    pipe.set(script.ALIVE, int(moment))
    pipe.execute()
    log.warning("sending_counters_refilled", hours=rows)
    return rows


def _key_of(row: RateLimit) -> str:
    return script.mailbox_key(str(row.mail_user_id)) if row.mail_user_id else script.domain_key(str(row.domain_id))


def waiting_for_mirror(at_most: int = MIRRORED_AT_ONCE) -> list[tuple[str, float, dict[str, int]]]:
    """(`m|company|mailbox` or `d|company|domain`, stamp, its buckets) of what was charged since the last mirroring,
    oldest first. Raises redis.RedisError."""
    client = ratelimit.client()
    dirty = cast("list[tuple[bytes, float]]", client.zrange(script.DIRTY, 0, at_most - 1, withscores=True))
    pipe = client.pipeline(transaction=True)
    for member, _stamp in dirty:
        whose, _tenant, pk = member.decode().split("|")
        pipe.hgetall(script.mailbox_key(pk) if whose == "m" else script.domain_key(pk))
    pipe.exists(script.ALIVE)
    *found, alive = pipe.execute()
    if not alive:  # it has just lost its data: nothing there is not "nothing used"
        return []
    return [
        (member.decode(), stamp, {field.decode(): int(count) for field, count in buckets.items()})
        for (member, stamp), buckets in zip(dirty, found, strict=True)
    ]


def mirrored(seen: Iterable[tuple[str, float]]) -> None:
    """Strike off what was written, unless it was charged again meanwhile. Raises redis.RedisError."""
    args = [word for member, stamp in seen for word in (member, repr(stamp))]
    if args:
        _register(script.MIRRORED_UP_TO)(keys=[script.DIRTY], args=args)


def leaves_at(hour: datetime) -> datetime:
    """When an hour that begins at `hour` stops counting."""
    return hour + timedelta(hours=DAY_BUCKETS + 1)
