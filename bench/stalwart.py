"""`engine.stalwart_bulk_s` and `engine.stalwart_requests_per_mailbox`: a company's 1,000 mailboxes applied at once.

Against the Stalwart in memory, which waits 5 ms before each answer as a server in the same data centre would; it is
set as the set-up leaves one, but makes no archive folder by itself unless that is said.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.figures import Figure
from bench.stack import Stack, say

NAMES = ("engine.stalwart_bulk_s", "engine.stalwart_requests_per_mailbox")
MAILBOXES = 1_000
LATENCY = 0.005  # seconds before each answer
BATCH = 500  # the driver's max_batch: mailboxes in one call of the port


def measure(stack: Stack, wanted: frozenset[str]) -> Iterator[Figure]:
    """Domain, accounts, folders and scripts of all, from nothing; every outcome is checked."""
    from deftmail.engine.drivers.stalwart.fake.server import FakeStalwart
    from deftmail.engine.drivers.stalwart.fake.world import engine_on
    from deftmail.engine.specimens import domain_spec, mailbox_spec

    fake = FakeStalwart(makes_archive=True)
    fake.slow = LATENCY
    engine = engine_on(fake)
    specs = [mailbox_spec(f"m{number}@bulk.test") for number in range(MAILBOXES)]
    started = time.perf_counter()
    engine.apply_domain(domain_spec("bulk.test"))
    for start in range(0, MAILBOXES, BATCH):
        outcomes = engine.apply_mailboxes(specs[start : start + BATCH])
        assert set(outcomes.values()) == {None}, "a mailbox was refused"
    seconds = time.perf_counter() - started
    requests = len(fake.http)
    assert len(engine.list_mailboxes("bulk.test")) == MAILBOXES
    engine.close()
    say(f"stalwart: {MAILBOXES} mailboxes in {seconds:.2f} s and {requests} requests")
    if "engine.stalwart_bulk_s" in wanted:
        yield Figure("engine.stalwart_bulk_s", seconds, "s")
    if "engine.stalwart_requests_per_mailbox" in wanted:
        yield Figure.ratio_of("engine.stalwart_requests_per_mailbox", requests, MAILBOXES, "requests")
