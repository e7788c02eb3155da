"""Every request limit: the numbers (one table), the atomic Redis script, and what happens while Redis is away.

GCRA in one Lua script over several keys: all or nothing, one round trip, Redis' own clock. With Redis away reads
stay open (a limit is not worth an outage) and what guards secrets falls back to a limit per process.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import redis
import structlog

from deftmail.kit.conf import conf

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Limit:
    """`burst` requests at once, refilled at `count` per `seconds`. `guard`: stays shut without Redis (per process)."""

    name: str
    count: int
    seconds: int
    burst: int
    guard: bool = False

    @property
    def interval_ms(self) -> float:
        return self.seconds * 1000 / self.count


# The one place of request limits. Per address and per session or key alike, unless the name says otherwise.
LIMITS: dict[str, Limit] = {
    limit.name: limit
    for limit in (
        Limit("page", 600, 60, 120),  # reading pages: a fast clicker makes 3 a second
        Limit("webmail", 1200, 60, 240),  # fragments, previews, attachments of one reading view
        Limit("write", 120, 60, 40),  # form posts
        Limit("signin", 10, 60, 10, guard=True),  # passwords: with the per-account limit below
        Limit("signup", 10, 3600, 5, guard=True),  # makes mail to strangers
        Limit("mail_link", 5, 900, 3, guard=True),  # password reset and verification mail
        Limit("dns_check", 30, 60, 10),  # "check now"
        Limit("api_read", 1200, 60, 300),
        Limit("api_write", 600, 60, 120),
        # Setting a password: judging and hashing it take 0.3 s of a core each. Per company for API keys, per person in
        # the console. A partner sets up a plan of 50 mailboxes at once; one company takes two thirds of a core at most.
        Limit("hashing", 60, 60, 60, guard=True),
        Limit("probe", 600, 60, 100),  # /healthz, /metrics
        Limit("engine", 12000, 60, 2000),  # the mail server's questions and reports: one of each message
        Limit("engine_failures", 30, 900, 30, guard=True),  # wrong secrets at the mail server's door, of one address
        Limit("account_failures", 10, 900, 10, guard=True),  # wrong passwords of one account, any address
        # Tries at one account by mail programs, each of which looks whether its password was right lately (the gate).
        Limit("account_guesses", 1000, 3600, 1000, guard=True),
        Limit("address_failures", 30, 900, 30, guard=True),  # wrong passwords from one address, any account
    )
}


@dataclass(frozen=True)
class Verdict:
    """`allowed`, and if not, seconds until the next try can pass."""

    allowed: bool
    retry_after: int = 0


# KEYS: one per bucket. ARGV: cost, then interval_ms and burst per bucket. Returns 0, or ms to wait.
_GCRA = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local cost = tonumber(ARGV[1])
local tats, wait = {}, 0
for i, key in ipairs(KEYS) do
  local interval, burst = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local tat = tonumber(redis.call('GET', key) or now)
  if tat < now then tat = now end
  local new = math.max(tat + interval * cost, now)
  local over = new - burst * interval - now
  if over > wait then wait = over end
  tats[i] = new
end
if wait > 0 then return math.ceil(wait) end
if cost ~= 0 then
  for i, key in ipairs(KEYS) do
    redis.call('SET', key, tostring(tats[i]), 'PX', math.ceil(tats[i] - now) + 1000)
  end
end
return 0
"""


@functools.cache
def client() -> redis.Redis:
    """The Redis of limits: one pool per process, short timeouts so that an outage costs a request little."""
    return redis.Redis.from_url(conf.redis_url, socket_timeout=0.5, socket_connect_timeout=0.5)


class LocalBuckets:
    """The same GCRA in this process's memory, bounded: for guards while Redis is away, and where one process sees
    everything and a round trip would cost more than what it guards."""

    def __init__(self, size: int = 10_000) -> None:
        self._tats: OrderedDict[str, float] = OrderedDict()
        self._size = size
        self._lock = threading.Lock()

    def hit(self, keys: Sequence[tuple[str, Limit]], cost: int) -> Verdict:
        now = time.monotonic() * 1000
        with self._lock:
            new: dict[str, float] = {}
            wait = 0.0
            for key, limit in keys:
                # cost 0 asks whether one more would pass, as the script does.
                tat = max(max(self._tats.get(key, now), now) + limit.interval_ms * (cost or 1), now)
                wait = max(wait, tat - limit.burst * limit.interval_ms - now)
                new[key] = tat
            if wait > 0:
                return Verdict(False, _seconds(wait))
            if cost:
                for key, tat in new.items():
                    self._tats[key] = tat
                    self._tats.move_to_end(key)
                while len(self._tats) > self._size:
                    self._tats.popitem(last=False)
        return Verdict(True)


_local = LocalBuckets()


def _seconds(milliseconds: float) -> int:
    return max(1, -(-int(milliseconds) // 1000))


def hit(name: str, *subjects: str, cost: int = 1) -> Verdict:
    """Charge `cost` to limit `name` for each subject together (an address, an account, a key): all or nothing.

    `cost=0` asks without charging whether one more would pass.
    """
    return _charge([(LIMITS[name], subject) for subject in subjects], cost)


def wrong_passwords(account: str, address: str | None, *, cost: int = 1) -> Verdict:
    """`hit` for a wrong password: of the account, whoever tries it, and of the address it is tried from, whatever
    account; None where nobody can tell the address. `cost=-1` gives one back that was not wrong after all."""
    buckets = [(LIMITS["account_failures"], account)]
    if address is not None:
        buckets.append((LIMITS["address_failures"], address_key(address)))
    return _charge(buckets, cost)


def _charge(buckets: Sequence[tuple[Limit, str]], cost: int) -> Verdict:
    keys = [(f"rl:{limit.name}:{_hashed(subject)}", limit) for limit, subject in buckets]
    argv: list[str | int | float] = [cost]
    for _key, each in keys:
        argv += [each.interval_ms, each.burst - (0 if cost else 1)]
    try:
        wait = int(_script()(keys=[key for key, _limit in keys], args=argv))
        return Verdict(True) if wait <= 0 else Verdict(False, _seconds(wait))
    except redis.RedisError as error:
        limit = buckets[0][0]
        log.warning("ratelimit.redis_away", limit=limit.name, error=type(error).__name__)
        return _local.hit(keys, cost) if limit.guard else Verdict(True)


@functools.cache
def _script() -> redis.commands.core.Script:
    return client().register_script(_GCRA)


def _hashed(subject: str) -> str:
    # Keys are hashed so that neither addresses nor session keys lie readable in Redis.
    return hashlib.blake2b(subject.encode(), digest_size=12, key=_pepper()).hexdigest()


@functools.cache
def _pepper() -> bytes:
    return hashlib.blake2b(conf.secret_key.get_secret_value().encode(), digest_size=32).digest()


def address_key(address: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 address: one customer's line, whatever privacy extensions do."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return str(ipaddress.IPv6Network((ip, 64), strict=False))
    return str(ip)
