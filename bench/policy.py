"""`gate.policy_per_s`, `gate.policy_p99_ms`, `gate.rss_growth_mb`: decisions through the gate's policy port.

One decision is what Postfix asks at END-OF-MESSAGE: state, blocks, limits, one recipient charged. The rate is taken
with several connections open, as Postfix has them, the time of one decision with a single one. The baseline is a bare
EVALSHA of the same script from one Python client, in turn with the gate.
"""

from __future__ import annotations

import selectors
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import redis

from bench.company import bench_company
from bench.figures import Figure, interleaved, percentile
from bench.stack import Stack, say

NAMES = ("gate.policy_per_s", "gate.policy_p99_ms", "gate.rss_growth_mb")
CONNECTIONS = 32
DECISIONS = 4_000
ALONE = 1_000
GROWTH_OVER = 100_000
ROUNDS = 3
WARM = 20_000


def measure(stack: Stack, wanted: frozenset[str]) -> Iterator[Figure]:
    """The figures asked for."""
    from deftmail.sending import counters, script
    from deftmail.sending.selectors import system

    company = bench_company(stack)
    mailbox = system.mailbox_by_address(company.mailbox)
    assert mailbox is not None
    _lift_limits(str(mailbox.tenant_id))
    subject = system.subject_of(mailbox.pk)
    assert subject is not None
    host, _, port = stack.env["DEFTMAIL_GATE_POLICY"].rpartition(":")
    where = (host, int(port))
    client = redis.Redis.from_url(stack.env["DEFTMAIL_REDIS_URL"])
    sha = client.script_load(script.CHARGE)

    def bare(_number: int = 0) -> None:
        name = uuid.uuid4().hex
        call = script.call(subject, counters.digests_of([f"{name}@simulated.example"]), queue_id=f"sim-{name}",
                           followed=False)  # fmt: skip
        client.evalsha(sha, len(call.keys), *call.keys, *call.args)

    _flood(where, company.mailbox, 500)  # connections and caches of the process
    if "gate.policy_per_s" in wanted:
        gate_rates, bare_rates = [], []
        for _ in range(ROUNDS):
            gate_rates.append(DECISIONS / _flood(where, company.mailbox, DECISIONS))
            started = time.perf_counter()
            for _each in range(DECISIONS):
                bare()
            bare_rates.append(DECISIONS / (time.perf_counter() - started))
        say(f"policy: {max(gate_rates):.0f} decisions/s, bare EVALSHA {max(bare_rates):.0f}/s")
        yield Figure("gate.policy_per_s", max(gate_rates), "1/s", max(bare_rates))
    if "gate.policy_p99_ms" in wanted:
        with socket.create_connection(where, 30) as link:
            gate_times, bare_times = interleaved(ALONE, lambda _number: _one(link, company.mailbox), bare)
        yield Figure("gate.policy_p99_ms", percentile(gate_times, 99), "ms", percentile(bare_times, 99))
    if "gate.rss_growth_mb" in wanted:
        pid = int((stack.var / "run" / "gate.pid").read_text().split()[0])
        _flood(where, company.mailbox, WARM)  # what is kept of the last seconds has its size now
        before = _resident(pid)
        _flood(where, company.mailbox, GROWTH_OVER)
        yield Figure("gate.rss_growth_mb", max(0.0, _resident(pid) - before), "MB")


def _lift_limits(tenant_id: str) -> None:
    from deftmail.sending.limits import COLUMNS
    from deftmail.tenants.models import Tenant

    Tenant.objects.using("owner").filter(pk=tenant_id).update(**dict.fromkeys(COLUMNS, 100_000_000))
    time.sleep(1.2)  # as long as the gate may remember the old ones


def _question(mailbox: str) -> bytes:
    name = uuid.uuid4().hex
    attributes = {
        "request": "smtpd_access_policy",
        "protocol_state": "END-OF-MESSAGE",
        "protocol_name": "ESMTP",
        "client_address": "127.0.0.1",
        "client_name": "localhost",
        "helo_name": "bench.example",
        "queue_id": f"sim-{name}",
        "instance": f"bench.{name}",
        "sender": mailbox,
        "recipient": f"{name}@simulated.example",
        "recipient_count": "1",
        "sasl_method": "PLAIN",
        "sasl_username": mailbox,
        "size": "2000",
        "policy_context": "submission",
    }
    return ("".join(f"{key}={value}\n" for key, value in attributes.items()) + "\n").encode()


def _one(link: socket.socket, mailbox: str) -> None:
    link.sendall(_question(mailbox))
    answer = b""
    while not answer.endswith(b"\n\n"):
        answer += link.recv(4096)
    assert answer == b"action=DUNNO\n\n", answer


def _flood(where: tuple[str, int], mailbox: str, decisions: int) -> float:
    """Seconds that many decisions take over `CONNECTIONS` connections, each asking one after another."""
    chooser = selectors.DefaultSelector()
    links = [socket.create_connection(where, 30) for _ in range(CONNECTIONS)]
    asked = answered = 0
    started = time.perf_counter()
    for link in links:
        chooser.register(link, selectors.EVENT_READ)
        link.sendall(_question(mailbox))
        asked += 1
    while answered < decisions:
        for key, _events in chooser.select(30):
            link = key.fileobj  # type: ignore[assignment]
            answer = link.recv(4096)
            assert answer == b"action=DUNNO\n\n", answer
            answered += 1
            if asked < decisions:
                link.sendall(_question(mailbox))
                asked += 1
    spent = time.perf_counter() - started
    for link in links:
        link.close()
    return spent


def _resident(pid: int) -> float:
    """MB of memory the process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError("no VmRSS")
