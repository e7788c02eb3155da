"""DeftMail's own processes: the database set-up, the gate, the worker, the web."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg

from deftmail.stack import probes
from deftmail.stack.errors import NotAnsweringError
from deftmail.stack.service import Service
from deftmail.stack.site import Site

# A worker tells PostgreSQL that it lives every 10 s (Procrastinate); three missed beats are silence.
HEARTBEAT_SECONDS = 35
DEMO_SECONDS = 180
_HEARTBEAT = "SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => %s)"


def program() -> str:
    """The console script beside the Python that runs the stack."""
    return str(Path(sys.executable).parent / "deftmail")


def _environment(site: Site) -> dict[str, str]:
    return {**site.environment(), "HOME": str(site.layout.var), "PYTHONUNBUFFERED": "1"}


def _service_user(site: Site) -> str | None:
    return None if site.owner[0] == 0 else site.owner_name


def _own(site: Site, name: str, after: tuple[str, ...], probe: probes.Probe, stop_seconds: float) -> Service:
    return Service(
        name=name,
        argv=(program(), name),
        env=_environment(site),
        user=_service_user(site),
        after=after,
        probe=probe,
        prepare=lambda: _let_owner_in(site),
        stop_seconds=stop_seconds,
    )


def _let_owner_in(site: Site) -> None:
    """The gate makes its socket in the run folder, so whoever runs it owns that folder."""
    if site.owner[0] != 0:
        os.chown(site.layout.run, *site.owner)


def setup(site: Site) -> Service:
    """Migrations as the owner, rights of every role, seed data; must end before anything of ours starts."""
    return Service(
        name="setup",
        argv=(program(), "setup"),
        env=_environment(site),
        user=_service_user(site),
        after=("postgres", "redis"),
        once=True,
    )


def gate(site: Site) -> Service:
    return _own(site, "gate", ("setup", "redis", "knot"), probes.http(site.port("gate_http"), "/healthz"), 10)


def worker(site: Site) -> Service:
    # A running job may talk to a mail server; it is given time to end.
    return _own(site, "worker", ("setup", "redis", "cache", "knot", "cyrus", "postfix"), _worker_beats(site), 20)


def web(site: Site) -> Service:
    after = ("setup", "redis", "cache", "knot", "cyrus", "postfix", "rspamd", "gate")
    return _own(site, "web", after, probes.http(site.port("web"), "/healthz"), 10)


def _worker_beats(site: Site) -> probes.Probe:
    url = site.database_url("deftmail_owner", site.secrets.postgres_owner)

    def probe() -> None:
        try:
            with psycopg.connect(url, connect_timeout=2) as connection:
                row = connection.execute(_HEARTBEAT, [HEARTBEAT_SECONDS]).fetchone()
        except psycopg.Error as error:
            raise NotAnsweringError(str(error).strip()) from error
        if row is None or row[0] == 0:
            raise NotAnsweringError("no worker has told the database that it lives")

    return probe


def demo(site: Site) -> str | None:
    """Make the demo company; returns what the command prints (its sign-in as JSON), None where it failed."""
    with site.layout.log("demo").open("ab") as log:
        # As the supervisor's own user, because it makes a zone on the local DNS.
        result = subprocess.run(
            [program(), "demo"],
            env={"PATH": os.defpath, **_environment(site)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            check=False,
            cwd=site.layout.var,
            start_new_session=True,
            timeout=DEMO_SECONDS,
        )
    return result.stdout.decode(errors="replace") if result.returncode == 0 else None
