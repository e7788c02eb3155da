"""Knot DNS stands in for the internet's: the operator's zone, zones made on request, and an empty root.

With a root zone of our own an unknown name is NXDOMAIN at once; without it Knot answers REFUSED, which resolvers
treat as a broken server and ask again.
"""

import fcntl
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deftmail.stack import dkim, files, probes
from deftmail.stack.errors import NotAnsweringError, StackError
from deftmail.stack.render import render
from deftmail.stack.service import Service
from deftmail.stack.site import Site

USER = "knot"
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


def home(site: Site) -> Path:
    return site.layout.var / "knot"


def service(site: Site) -> Service:
    folder = home(site)
    config = folder / "knot.conf"

    def prepare() -> None:
        owner = files.account(USER)
        for path in (folder, folder / "db", folder / "zones", folder / "own", site.layout.run / "knot"):
            files.folder(path, 0o755, owner)
        files.write(config, render("knot/knot.conf", _values(site)), 0o640, owner)
        _write_own_zones(site)
        _write_zone_list(site, _known(site))

    return Service(
        name="knot",
        argv=("/usr/sbin/knotd", "-c", str(config)),
        prepare=prepare,
        probe=probes.name(site.port("dns"), site.operator_domain),
    )


def _values(site: Site) -> dict[str, object]:
    return {
        **site.values(),
        "knot_home": home(site),
        "knot_run": site.layout.run / "knot",
        "knot_socket": site.layout.socket("knot/knot.sock"),
        "serial": int(time.time()),
        "operator_dkim": dkim.record(site),
        "dkim_selector": dkim.SELECTOR,
    }


def _write_own_zones(site: Site) -> None:
    owner = files.account(USER)
    for template in ("root.zone", "operator.zone"):
        content = render(f"knot/{template}", _values(site))
        files.write(home(site) / "own" / template, content, 0o644, owner)


def _zone_file(site: Site, zone: str) -> Path:
    return home(site) / "zones" / f"{zone}.zone"


def _known(site: Site) -> list[str]:
    """Zones that were made on request, by the files they left."""
    return sorted(path.stem for path in (home(site) / "zones").glob("*.zone"))


def _write_zone_list(site: Site, names: list[str]) -> None:
    own = home(site) / "own"
    lines = ["zone:\n", f'  - domain: .\n    file: "{own}/root.zone"\n']
    lines += [f'  - domain: {site.operator_domain}\n    file: "{own}/operator.zone"\n']
    lines += [f"  - domain: {name}\n" for name in names]
    files.write(home(site) / "zones.conf", "".join(lines), 0o644, files.account(USER))


def checked_name(name: str) -> str:
    """A zone name in lower case without the closing dot. Raises StackError for anything else (RFC 1035 §2.3.1)."""
    wanted = name.lower().removesuffix(".")
    if len(wanted) > 253 or not all(_LABEL.fullmatch(label) for label in wanted.split(".")):
        raise StackError(f"not a domain name (IDN in its xn-- form): {name!r}")
    return wanted


@contextmanager
def _one_at_a_time(site: Site) -> Iterator[None]:
    with (home(site) / "zones.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _not_the_operators(site: Site, zone: str) -> None:
    # A zone below it would hide the records of the mail host.
    if zone == site.operator_domain or zone.endswith(f".{site.operator_domain}"):
        raise StackError(f"{zone} lies in the operator's own zone")


def create_zone(site: Site, name: str) -> bool:
    """Make an empty zone and wait until it is served. False where it was there already; it is left as it is."""
    zone = checked_name(name)
    _not_the_operators(site, zone)
    with _one_at_a_time(site):
        if _zone_file(site, zone).exists():
            return False
        values = {**_values(site), "zone": zone}
        files.write(_zone_file(site, zone), render("knot/empty.zone", values), 0o644, files.account(USER))
        _write_zone_list(site, _known(site))
        _knotc(site, "reload")
    _wait(site, zone, served=True)
    return True


def delete_zone(site: Site, name: str) -> bool:
    """Remove a zone with its records. False where there was none."""
    zone = checked_name(name)
    _not_the_operators(site, zone)
    with _one_at_a_time(site):
        if not _zone_file(site, zone).exists():
            return False
        _zone_file(site, zone).unlink()
        _write_zone_list(site, _known(site))
        _knotc(site, "reload")
    return True


def _knotc(site: Site, *words: str) -> None:
    command = ["/usr/sbin/knotc", "-b", "-s", str(site.layout.socket("knot/knot.sock")), *words]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    if result.returncode != 0:
        raise StackError(f"knotc {' '.join(words)}: {(result.stderr or result.stdout).strip()}")


def _wait(site: Site, zone: str, *, served: bool) -> None:
    probe = probes.name(site.port("dns"), zone)
    deadline = time.monotonic() + 10
    while True:
        try:
            probe()
            return
        except NotAnsweringError:
            if time.monotonic() > deadline:
                raise StackError(f"the zone {zone} was written but is not answered") from None
        time.sleep(0.02)
