"""Two Redis servers: one that keeps what it is told (limits, DKIM keys), one cache that may forget."""

from deftmail.stack import files, probes
from deftmail.stack.render import render
from deftmail.stack.service import Service
from deftmail.stack.site import Site

USER = "redis"


def service(site: Site, name: str) -> Service:
    """`redis` (append-only file, no eviction) or `cache` (LRU, nothing on disk)."""
    home = site.layout.var / name
    config = home / "redis.conf"

    def prepare() -> None:
        owner = files.account(USER)
        files.folder(home, 0o700, owner)
        values = {**site.values(), "home": home, "port": site.port(name), "lasting": name == "redis"}
        files.write(config, render("redis/redis.conf", values), 0o600, owner)

    return Service(
        name=name,
        argv=("/usr/bin/redis-server", str(config)),
        user=USER,
        prepare=prepare,
        probe=probes.redis(site.port(name), site.secrets.redis),
    )
