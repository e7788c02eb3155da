"""The one script that decides and charges, the keys it uses, its arguments and its answer. Pure but for the digest.

Everything happens in one round trip, all limits together, all or nothing. It reads Redis' own clock. A clock that went
backwards resets nothing: what lies in the future counts as used now, and ages from now.

Keys: `snd:m:<mailbox>` and `snd:d:<domain>` are hashes of `<code>:<number of the bucket>` -> recipients,
`snd:k:<mailbox>` the recipients it has written to (63-bit digests, which Redis packs densely), `snd:q:<queue id>` what
a message was charged, `snd:open` messages whose arrival in the queue is not known yet, `snd:dirty` what the mirror has
not seen, `snd:alive` there as long as this Redis has not lost its data, `snd:learning` for a day after it has: whom
everybody has written to is forgotten then, so nobody counts as new. (Counted and let through, they would fill the limit
of the day that follows.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from deftmail.sending.limits import ALLOWED, LIMITS, Decision, Limit, Meter, Subject, Whose, over

ALIVE, OPEN, DIRTY, LEARNING = "snd:alive", "snd:open", "snd:dirty", "snd:learning"
LEARNS_FOR = 86400
"""Seconds."""
KNOWN_AT_MOST = 5000
"""Recipients remembered of one mailbox; beyond, some at random are forgotten and count as new once more."""
CHARGE_KEPT, SIMULATED_KEPT = 1800, 120
"""Seconds a charge can be given back, and repeated without effect; short for what nobody waits for in the queue."""


def _lua(limit: Limit) -> str:
    whose = 1 if limit.whose is Whose.MAILBOX else 2
    return f"{{{whose}, '{limit.code}', {limit.step}, {limit.full}, {str(limit.first).lower()}}}"


CHARGE = (
    """
local limits = {DEFINED}
if redis.call('EXISTS', 'snd:alive') == 0 then return {-1} end
local now = tonumber(ARGV[2])
local stamp = now
if not now then
  local t = redis.call('TIME')
  now = tonumber(t[1])
  stamp = now + tonumber(t[2]) / 1e6
end
local charging = ARGV[1] == 'charge'
local cost = tonumber(ARGV[3])
if charging and redis.call('EXISTS', KEYS[4]) == 1 then return {1} end
local base = 6 + #limits
local learning = redis.call('EXISTS', 'snd:learning') == 1
local first, fresh = 0, {}
if cost > 0 then
  local given = #ARGV - base
  first = cost - given
  local at = 1
  while at <= given do
    local upto = math.min(at + 999, given)
    local known = redis.call('SMISMEMBER', KEYS[3], unpack(ARGV, base + at, base + upto))
    for i, yes in ipairs(known) do
      if yes == 0 then first = first + 1; fresh[#fresh + 1] = ARGV[base + at + i - 1] end
    end
    at = upto + 1
  end
end
local held, gone = {}, {{}, {}}
for k = 1, 2 do
  held[k] = {}
  local flat = redis.call('HGETALL', KEYS[k])
  for i = 1, #flat, 2 do
    local code = string.sub(flat[i], 1, 1)
    held[k][code] = held[k][code] or {}
    table.insert(held[k][code], {tonumber(string.sub(flat[i], 3)), tonumber(flat[i + 1]), flat[i]})
  end
end
local answer, refused, frees, never = {1, 0, 0, first, now}, 0, 0, false
local writes, moved = {}, {}
for l, limit in ipairs(limits) do
  local k, code, step, full, most = limit[1], limit[2], limit[3], limit[4], tonumber(ARGV[6 + l])
  local need = cost
  if limit[5] then need = learning and 0 or first end
  local current = math.floor(now / step)
  local used, live = 0, {}
  for _, bucket in ipairs(held[k][code] or {}) do
    local n = bucket[1]
    if n > current then n = current; moved[#moved + 1] = {k, bucket[3], code .. ':' .. current, bucket[2]} end
    if current - n <= full then
      used = used + bucket[2]
      live[#live + 1] = {n, bucket[2]}
    else
      table.insert(gone[k], bucket[3])
    end
  end
  table.sort(live, function(x, y) return x[1] < y[1] end)
  local oldest = 0
  if live[1] then oldest = (live[1][1] + full + 1) * step end
  answer[#answer + 1] = used
  answer[#answer + 1] = oldest
  if most >= 0 and need > 0 and used + need > most and not never then
    if need > most then
      refused, frees, never = l, 0, true
    else
      local left, at = used, 0
      for _, bucket in ipairs(live) do
        left = left - bucket[2]
        at = (bucket[1] + full + 1) * step
        if left + need <= most then break end
      end
      if at > frees then refused, frees = l, at end
    end
  end
  if need > 0 then writes[#writes + 1] = {k, code .. ':' .. current, need} end
end
if refused > 0 then
  answer[1], answer[2], answer[3] = 0, refused, frees
  return answer
end
if charging and cost > 0 then
  for k = 1, 2 do
    for i = 1, #gone[k], 500 do
      redis.call('HDEL', KEYS[k], unpack(gone[k], i, math.min(i + 499, #gone[k])))
    end
  end
  for _, m in ipairs(moved) do
    redis.call('HDEL', KEYS[m[1]], m[2])
    redis.call('HINCRBY', KEYS[m[1]], m[3], m[4])
  end
  local entries = {}
  for _, w in ipairs(writes) do
    redis.call('HINCRBY', KEYS[w[1]], w[2], w[3])
    entries[#entries + 1] = KEYS[w[1]] .. ' ' .. w[2] .. ' ' .. w[3]
  end
  redis.call('EXPIRE', KEYS[1], 93600)
  redis.call('EXPIRE', KEYS[2], 93600)
  for i = 1, #fresh, 500 do
    redis.call('SADD', KEYS[3], unpack(fresh, i, math.min(i + 499, #fresh)))
  end
  local surplus = redis.call('SCARD', KEYS[3]) - KNOWN_AT_MOST
  if surplus > 0 then redis.call('SPOP', KEYS[3], surplus) end
  redis.call('HSET', KEYS[4], 'entries', table.concat(entries, '\\n'), 'known', KEYS[3],
             'fresh', table.concat(fresh, ' '), 'm', ARGV[5], 'd', ARGV[6])
  redis.call('EXPIRE', KEYS[4], ARGV[4] == '1' and CHARGE_KEPT or SIMULATED_KEPT)
  if ARGV[4] == '1' then redis.call('ZADD', 'snd:open', now, KEYS[4]) end
  redis.call('ZADD', 'snd:dirty', stamp, ARGV[5], stamp, ARGV[6])
end
if ARGV[1] ~= 'meters' then return {1} end
return answer
""".replace("DEFINED", ", ".join(map(_lua, LIMITS)))
    .replace("KNOWN_AT_MOST", str(KNOWN_AT_MOST))
    .replace("CHARGE_KEPT", str(CHARGE_KEPT))
    .replace("SIMULATED_KEPT", str(SIMULATED_KEPT))
)
"""KEYS: mailbox, domain, known, charge. ARGV: mode, now ('' for Redis' clock), cost, 1 when its arrival in the queue
is watched, the mailbox and the domain as the mirror names them, the maximum of each limit (-1: unlimited), digests.
Answers -1 for a Redis without data and a bare 1 for what is allowed (a long answer costs Python more than the decision
costs Redis); else, and for meters: allowed, refusing limit, when it frees, first-time recipients, now, and then used
and oldest per limit."""

GIVE_BACK = """
redis.call('ZREM', 'snd:open', KEYS[1])
local charge = redis.call('HMGET', KEYS[1], 'entries', 'known', 'fresh', 'm', 'd')
if not charge[1] then return 0 end
for key, field, cost in string.gmatch(charge[1], '(%S+) (%S+) (%S+)') do
  local left = tonumber(redis.call('HGET', key, field) or '0') - tonumber(cost)
  if left > 0 then redis.call('HSET', key, field, left) else redis.call('HDEL', key, field) end
end
for digest in string.gmatch(charge[3], '%S+') do redis.call('SREM', charge[2], digest) end
redis.call('DEL', KEYS[1])
local t = redis.call('TIME')
local stamp = tonumber(t[1]) + tonumber(t[2]) / 1e6
redis.call('ZADD', 'snd:dirty', stamp, charge[4], stamp, charge[5])
return 1
"""
"""KEYS: charge. Undoes one charge, once. Answers 1 when there was one."""

MIRRORED_UP_TO = """
for i = 1, #ARGV, 2 do
  local stamp = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if stamp and tonumber(stamp) == tonumber(ARGV[i + 1]) then redis.call('ZREM', KEYS[1], ARGV[i]) end
end
return 1
"""
"""KEYS: dirty. ARGV: member, score …: strikes off what was not charged again since it was read."""


@dataclass(frozen=True, slots=True)
class Call:
    """Keys and arguments of one run of `CHARGE`."""

    keys: list[str]
    args: list[str | int]


def mailbox_key(mailbox_id: str) -> str:
    """The hash of a mailbox's counters."""
    return f"snd:m:{mailbox_id}"


def domain_key(domain_id: str) -> str:
    """The hash of a domain's counters."""
    return f"snd:d:{domain_id}"


def charge_key(queue_id: str) -> str:
    """What a message was charged."""
    return f"snd:q:{queue_id}"


def digest(address: str, pepper: bytes) -> int:
    """63 bits of a recipient: nobody's address book lies readable in Redis."""
    return int.from_bytes(hashlib.blake2b(address.encode(), digest_size=8, key=pepper).digest(), "big") >> 1


def call(
    subject: Subject,
    digests: Sequence[int],
    *,
    queue_id: str = "",
    unnamed: int = 0,
    followed: bool = True,
    meters: bool = False,
    now: int | None = None,
) -> Call:
    """A run of the script: with a `queue_id` it charges, without it only looks; `meters` asks for every counter.

    unnamed: recipients whose addresses are not known; each counts as new. followed: whether the message's arrival in
    the queue is watched. now: a clock for tests
    """
    keys = [
        mailbox_key(subject.mailbox_id),
        domain_key(subject.domain_id),
        f"snd:k:{subject.mailbox_id}",
        charge_key(queue_id),
    ]
    args: list[str | int] = [
        "meters" if meters else "charge" if queue_id else "look",
        "" if now is None else now,
        len(digests) + unnamed,
        int(followed),
        f"m|{subject.tenant_id}|{subject.mailbox_id}",
        f"d|{subject.tenant_id}|{subject.domain_id}",
    ]
    maxima = [-1 if most is None else max(most, 0) for most in subject.maxima]
    return Call(keys, [*args, *maxima, *digests])


def read(answer: Sequence[int], subject: Subject, asked: int, link: str) -> Decision:
    """The decision in an answer of the script (not of -1)."""
    if answer[0]:
        return ALLOWED
    _allowed, refusing, frees, first = answer[:4]
    limit = LIMITS[refusing - 1]
    return over(
        limit,
        used=answer[5 + 2 * (refusing - 1)],
        maximum=subject.maxima[refusing - 1] or 0,
        asked=first if limit.first else asked,
        frees_at=datetime.fromtimestamp(frees, UTC) if frees else None,
        link=link,
    )


def read_meters(answer: Sequence[int], subject: Subject) -> list[Meter]:
    """Every counter in an answer of the script, in the order of `LIMITS`."""
    meters = []
    for position, limit in enumerate(LIMITS):
        used, oldest = answer[5 + 2 * position : 7 + 2 * position]
        frees = datetime.fromtimestamp(oldest, UTC) if used else None
        meters.append(Meter(limit.name, used, subject.maxima[position], frees))
    return meters
