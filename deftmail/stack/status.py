"""What `deftmail stack status` says."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydantic import BaseModel

from deftmail.stack import catalogue
from deftmail.stack.errors import NotAnsweringError
from deftmail.stack.processes import PidFile
from deftmail.stack.service import Service
from deftmail.stack.site import TSIG_ALGORITHM, TSIG_NAME, Site


class Running(BaseModel):
    """`<var>/run/running.json`, written by the supervisor: what it keeps and whether all of it has answered once."""

    services: list[str]
    ready: bool = False
    failure: str | None = None


def load_running(site: Site) -> Running | None:
    path = site.layout.pids / "running.json"
    return Running.model_validate_json(path.read_text()) if path.exists() else None


def supervisor_pid_file(site: Site) -> PidFile:
    return PidFile(site.layout.pids / "supervisor.pid")


def _look(site: Site, service: Service) -> dict[str, Any]:
    leader = PidFile(site.layout.pids / f"{service.name}.pid").owned()
    if leader is None:
        return {"pid": None, "healthy": False}
    try:
        service.probe()
    except NotAnsweringError:
        return {"pid": leader.pid, "healthy": False}
    return {"pid": leader.pid, "healthy": True}


def status(site: Site) -> dict[str, Any]:
    """The status object; probes every service now, which takes two seconds at most."""
    running = load_running(site)
    names = running.services if running is not None else []
    kept = [one for one in catalogue.services(site) if not one.once and (not names or one.name in names)]
    with ThreadPoolExecutor(max_workers=len(kept)) as pool:
        found = dict(zip((one.name for one in kept), pool.map(lambda one: _look(site, one), kept), strict=True))
    return {
        "engine": "cyrus",
        "web": site.base_url,
        "imap": site.address("imap"),
        "submission": site.address("submission"),
        "smtp": site.address("mx"),
        "lmtp": site.address("lmtp"),
        "sieve": site.address("sieve"),
        "dns": {
            "host": "127.0.0.1",
            "port": site.port("dns"),
            "tsig_name": TSIG_NAME.removesuffix("."),
            "tsig_secret": site.secrets.tsig,
            "tsig_algorithm": TSIG_ALGORITHM,
        },
        "services": found,
    }


def healthy(report: dict[str, Any]) -> bool:
    return bool(report["services"]) and all(one["healthy"] for one in report["services"].values())


def table(report: dict[str, Any]) -> str:
    """The status for people."""
    lines = [f"{name:12} {report[name]}" for name in ("web", "imap", "submission", "smtp", "lmtp", "sieve")]
    lines.append(f"{'dns':12} {report['dns']['host']}:{report['dns']['port']}")
    for name, one in report["services"].items():
        state = "answers" if one["healthy"] else "does not answer" if one["pid"] else "not running"
        lines.append(f"{name:12} {state}" + (f" (pid {one['pid']})" if one["pid"] else ""))
    return "\n".join(lines)


def as_json(report: dict[str, Any]) -> str:
    return json.dumps(report, indent=2)
