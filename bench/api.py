"""`api.read_p95_ms` with 1,000 companies and 20,000 mailboxes, and `api.growth_ratio` against 10 in the same run.

Two databases on the bench's PostgreSQL, each with a web process of its own, asked in turn.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from bench.figures import Figure, interleaved, median, percentile
from bench.http import ask, connect
from bench.stack import Stack, say
from tests.world import DEFTMAIL, ROOT

NAMES = ("api.read_p95_ms", "api.growth_ratio")
MAILBOXES = 20
LARGE, SMALL = 1_000, 10
BLOCKS, PER_BLOCK = 5, 80
"""Between blocks the request limits are reset: 80 reads are far below the 300 a key may do at once."""
DATABASES = ("DEFTMAIL_DATABASE_URL", "DEFTMAIL_DATABASE_SYSTEM_URL", "DEFTMAIL_DATABASE_OWNER_URL")


@dataclass(frozen=True)
class Side:
    """One database and its web process."""

    url: str
    samples: list[dict[str, str]]

    def reader(self) -> Callable[[int], object]:
        """Reads in turn: a list and one object of each kind, of one company after the other."""
        connection = connect(self.url)

        def read(number: int) -> None:
            sample = self.samples[number // 4 % len(self.samples)]
            path = (
                "/api/v1/mailboxes",
                f"/api/v1/mailboxes/{sample['mailbox_id']}",
                "/api/v1/domains",
                f"/api/v1/domains/{sample['domain_id']}",
            )[number % 4]
            body = json.loads(ask(connection, "GET", path, {"Authorization": f"Bearer {sample['key']}"}))
            assert len(body["items"]) in (1, MAILBOXES) if "items" in body else body["id"]

        return read


def measure(stack: Stack, wanted: frozenset[str]) -> Iterator[Figure]:
    """Both figures from the same interleaved runs."""
    with _side(stack, "bench_large", LARGE) as large, _side(stack, "bench_small", SMALL) as small:
        readers = large.reader(), small.reader()
        stack.forget_limits()
        interleaved(PER_BLOCK, *readers)  # plans, pools and caches
        of_large: list[float] = []
        of_small: list[float] = []
        for _ in range(BLOCKS):
            stack.forget_limits()
            block = interleaved(PER_BLOCK, *readers, warm_up=0)
            of_large += block[0]
            of_small += block[1]
    p95 = percentile(of_large, 95), percentile(of_small, 95)
    say(
        f"API reads: median {median(of_large):.1f} ms with {LARGE} companies, {median(of_small):.1f} ms with {SMALL}; "
        f"p95 {p95[0]:.1f} and {p95[1]:.1f} ms"
    )
    if "api.read_p95_ms" in wanted:
        yield Figure("api.read_p95_ms", p95[0], "ms", p95[1])
    if "api.growth_ratio" in wanted:
        yield Figure.ratio_of("api.growth_ratio", median(of_large), median(of_small), "ms")


@contextlib.contextmanager
def _side(stack: Stack, database: str, companies: int) -> Iterator[Side]:
    port = _free_port()
    environ = {**os.environ, **stack.env, "DEFTMAIL_WEB_PORT": str(port), "DEFTMAIL_WEB_HOST": "127.0.0.1"}
    for name in DATABASES:
        environ[name] = environ[name].rpartition("/")[0] + f"/{database}"
    _create(stack.env[DATABASES[2]], database)
    say(f"{database}: {companies} companies, {companies * MAILBOXES} mailboxes")
    subprocess.run([DEFTMAIL, "setup", "--verbosity", "0"], env=environ, check=True, stdout=sys.stderr)
    samples: list[dict[str, Any]] = json.loads(
        subprocess.run(
            [sys.executable, "-m", "bench.fill", str(companies), str(MAILBOXES)],
            env={**environ, "DJANGO_SETTINGS_MODULE": "deftmail.settings"},
            cwd=ROOT,
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
    )
    with (stack.var / "log" / f"{database}.log").open("ab") as log:
        web = subprocess.Popen([DEFTMAIL, "web"], env=environ, stdout=log, stderr=log)
    try:
        _await(port, web)
        yield Side(f"http://127.0.0.1:{port}", samples)
    finally:
        web.terminate()
        web.wait(20)


def _create(owner_url: str, database: str) -> None:
    with psycopg.connect(owner_url, autocommit=True) as connection:
        there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
        if there is None:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(database)))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(port: int, web: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and web.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise RuntimeError("the web process does not answer; see its log in var/bench/log")
