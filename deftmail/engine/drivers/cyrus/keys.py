"""DKIM keys where rspamd looks for them: Redis hashes, one field a key, one field a domain's selector.

A hash of ours beside them says for which row and with which selectors a domain was configured, so that a key that was
replaced is found again and a removal touches only its own. Each change is one script: rspamd never sees half of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar, cast
from uuid import UUID

import redis

from deftmail.engine.errors import EngineAuthFailed, EngineError, EngineRefused, EngineUnavailable
from deftmail.engine.names import private_key_fingerprint
from deftmail.engine.port import DomainSpec, FoundDomain, FoundKey

KEYS = "DKIM_KEYS"  # field "selector.domain" = PEM (rspamd dkim_signing: key_prefix)
SELECTORS = "DKIM_SELECTORS"  # field domain = selector (selector_prefix)
DOMAINS = "DEFTMAIL_DOMAINS"  # field domain = {"id", "selectors"}; ours

_APPLY = """
local domain = ARGV[1]
local known = redis.call('HGET', KEYS[3], domain)
local mine = {}
for i = 3, #ARGV, 2 do mine[ARGV[i]] = ARGV[i + 1] end
if known then
  for _, selector in ipairs(cjson.decode(known)['selectors'] or {}) do
    if not mine[selector] then redis.call('HDEL', KEYS[1], selector .. '.' .. domain) end
  end
end
for selector, pem in pairs(mine) do redis.call('HSET', KEYS[1], selector .. '.' .. domain, pem) end
if ARGV[3] then redis.call('HSET', KEYS[2], domain, ARGV[3]) else redis.call('HDEL', KEYS[2], domain) end
redis.call('HSET', KEYS[3], domain, ARGV[2])
"""

_REMOVE = """
local domain = ARGV[1]
local known = redis.call('HGET', KEYS[3], domain)
if not known then return 0 end
local entry = cjson.decode(known)
if entry['id'] ~= ARGV[2] then return 0 end
for _, selector in ipairs(entry['selectors'] or {}) do
  redis.call('HDEL', KEYS[1], selector .. '.' .. domain)
end
redis.call('HDEL', KEYS[2], domain)
redis.call('HDEL', KEYS[3], domain)
return 1
"""

T = TypeVar("T")


class DkimKeys:
    """Installs, replaces, removes and lists the keys. Raises only EngineError. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url, decode_responses=True, socket_timeout=5, socket_connect_timeout=2, health_check_interval=30
        )
        self._apply = self._redis.register_script(_APPLY)
        self._remove = self._redis.register_script(_REMOVE)

    def close(self) -> None:
        self._redis.close()

    def ping(self) -> None:
        """Raises EngineUnavailable where Redis does not answer."""
        self._guard(lambda: self._redis.ping())

    def apply(self, spec: DomainSpec) -> None:
        """The current key is installed and signs; keys of earlier selectors are gone.

        rspamd signs with one key, and verifiers ask the DNS: keys that retire need not be here.
        """
        selectors = [spec.dkim.selector] if spec.dkim else []
        entry = json.dumps({"id": str(spec.id), "selectors": selectors})
        arguments = [spec.name, entry]
        if spec.dkim:
            arguments += [spec.dkim.selector, spec.dkim.private_key.get_secret_value()]
        self._guard(lambda: self._apply(keys=[KEYS, SELECTORS, DOMAINS], args=arguments))

    def remove(self, name: str, domain_id: UUID) -> None:
        """The domain's keys are gone, if they were installed for `domain_id`."""
        self._guard(lambda: self._remove(keys=[KEYS, SELECTORS, DOMAINS], args=[name, str(domain_id)]))

    def list(self) -> dict[str, FoundDomain]:
        """Every domain that has a key or was configured."""

        def read() -> tuple[dict[str, str], dict[str, str]]:
            both = self._redis.pipeline()
            both.hgetall(DOMAINS)
            both.hgetall(SELECTORS)
            entries, signing = both.execute()
            return entries, signing

        entries, signing = self._guard(read)
        fields: dict[str, tuple[str, str]] = {}
        for domain in entries.keys() | signing.keys():
            for selector in {*_entry(entries.get(domain)).get("selectors", ()), signing.get(domain, "")} - {""}:
                fields[f"{selector}.{domain}"] = (domain, selector)
        names = sorted(fields)
        # The cast: redis-py gives one type for its blocking and its awaitable half.
        pems = cast("list[str | None]", self._guard(lambda: self._redis.hmget(KEYS, names)) if names else [])
        keys: dict[str, list[FoundKey]] = {}
        for field, pem in zip(names, pems, strict=True):
            if pem is not None:
                domain, selector = fields[field]
                keys.setdefault(domain, []).append(FoundKey(selector, _fingerprint(pem)))
        return {
            domain: _found(domain, entries.get(domain), signing.get(domain), keys.get(domain, []))
            for domain in entries.keys() | signing.keys()
        }

    @staticmethod
    def _guard(act: Callable[[], T]) -> T:
        try:
            return act()
        except redis.AuthenticationError as error:
            raise EngineAuthFailed(f"Redis: {error}") from error
        except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError, OSError) as error:
            raise EngineUnavailable(f"Redis: {error}") from error
        except redis.RedisError as error:  # out of memory under noeviction, a read-only replica
            raise EngineError(f"Redis: {error}") from error


def _entry(text: str | None) -> dict[str, Any]:
    try:
        entry = json.loads(text) if text else {}
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _found(domain: str, entry: str | None, selector: str | None, keys: list[FoundKey]) -> FoundDomain:
    try:
        found_id = UUID(str(_entry(entry).get("id")))
    except ValueError:
        found_id = None
    signing = next((key for key in keys if key.selector == selector), None)
    return FoundDomain(domain, found_id, signing, tuple(keys))


def _fingerprint(pem: str) -> str:
    try:
        return private_key_fingerprint(pem)
    except EngineRefused:
        return ""
