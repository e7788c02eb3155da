"""rspamd: spam filter, SPF, DKIM and DMARC, and the signer of what leaves.

It runs on a copy of the packaged configuration with our `local.d`, as a milter (proxy worker that scans itself).
"""

import shutil
from pathlib import Path

from deftmail.stack import dkim, files, probes
from deftmail.stack.errors import NotAnsweringError
from deftmail.stack.render import TEMPLATES, render
from deftmail.stack.service import Service
from deftmail.stack.site import Site

USER = "_rspamd"
PACKAGED = Path("/etc/rspamd")
SUFFIXES = Path("/usr/share/rspamd/effective_tld_names.dat")
RESERVED = ("test", "example", "invalid", "localhost")  # RFC 2606 §2
# Prefixes of the Redis hashes that the engine's driver fills: field `selector.domain` = PEM, field domain = selector.
KEYS, SELECTORS = "DKIM_KEYS", "DKIM_SELECTORS"


def service(site: Site) -> Service:
    home = site.layout.var / "rspamd"

    def prepare() -> None:
        owner = files.account(USER)
        for path in (home, home / "db", site.layout.run / "rspamd"):
            files.folder(path, 0o750, owner)
        shutil.rmtree(home / "etc", ignore_errors=True)
        shutil.copytree(PACKAGED, home / "etc", ignore=shutil.ignore_patterns("local.d", "override.d"))
        write_configuration(home / "etc", values(site))
        # Below which names people register decides whose DMARC policy counts (RFC 7489 §3.2).
        suffixes = SUFFIXES.read_text() + "".join(f"{name}\n" for name in RESERVED)
        files.write(home / "etc" / SUFFIXES.name, suffixes)
        _hand_over(home / "etc", owner)
        _give_operator_key(site)

    variables = {
        "CONFDIR": home / "etc",
        "LOCAL_CONFDIR": home / "etc",
        "DBDIR": home / "db",
        "RUNDIR": site.layout.run / "rspamd",
        "LOGDIR": site.layout.logs,
    }
    return Service(
        name="rspamd",
        argv=("/usr/bin/rspamd", "-f", "-u", USER, "-g", USER, "-c", str(home / "etc" / "rspamd.conf"),
              *(f"--var={name}={path}" for name, path in variables.items())),
        after=("redis", "knot"),
        prepare=prepare,
        probe=lambda: _probe(site),
    )  # fmt: skip


def values(site: Site) -> dict[str, object]:
    return {
        **site.values(),
        "public_suffixes": site.layout.var / "rspamd" / "etc" / SUFFIXES.name,
        "redis_address": site.address("redis"),
        "dns_server": f"127.0.0.1:{site.port('dns')}",
        "milter_listen": site.address("milter"),
        "keys_prefix": KEYS,
        "selectors_prefix": SELECTORS,
    }


def write_configuration(etc: Path, known: dict[str, object]) -> None:
    """Render our `local.d` into a configuration folder."""
    source = TEMPLATES / "rspamd"
    for path in sorted(source.rglob("*")):
        if path.is_file():
            name = path.relative_to(source)
            files.write(etc / name, render(f"rspamd/{name}", known), 0o640)


def _hand_over(folder: Path, owner: tuple[int, int]) -> None:
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, *owner)


def _give_operator_key(site: Site) -> None:
    """The product's own mail is signed like everybody's: its key lies where the engine puts customers' keys."""
    words = (
        (KEYS, f"{dkim.SELECTOR}.{site.operator_domain}", dkim.private_pem(site)),
        (SELECTORS, site.operator_domain, dkim.SELECTOR),
    )
    try:
        for key, name, value in words:
            probes.redis_command(site.port("redis"), site.secrets.redis, "HSET", key, name, value)
    except NotAnsweringError as error:
        raise OSError(str(error)) from error


def _probe(site: Site) -> None:
    probes.milter(site.port("milter"))()
