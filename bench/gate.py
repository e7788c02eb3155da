"""`gate.login_cached_ms` and `gate.login_uncached_ms`: one password check over the gate's socket, as Cyrus asks it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from bench.company import PASSWORD, bench_company
from bench.figures import Figure, median, timed
from bench.stack import Stack, say

NAMES = ("gate.login_cached_ms", "gate.login_uncached_ms")
ACCOUNTS = 12
REPEATS = 20


def measure(stack: Stack, wanted: frozenset[str]) -> Iterator[Figure]:
    """Uncached: the first right password of each account. Cached: the same again. Compared with bcrypt alone."""
    from deftmail.kit.passwords import hash_password, verify_password

    company = bench_company(stack)
    stored = hash_password(PASSWORD)  # new in every run, so that no success of an earlier one is remembered
    addresses = _accounts(company.domain_id, stored)
    stack.forget_limits()
    path = stack.env["DEFTMAIL_GATE_SASL_SOCKET"]
    _ask(path, company.mailbox)  # connections and caches of the process
    uncached, alone = [], []
    for address in addresses:
        uncached.append(timed(lambda address=address: _ask(path, address)))  # type: ignore[misc]
        alone.append(timed(lambda: verify_password(PASSWORD, stored)))
    cached = [timed(lambda address=address: _ask(path, address)) for _ in range(REPEATS) for address in addresses]  # type: ignore[misc]
    say(
        f"gate: cached {median(cached):.2f} ms, uncached {median(uncached):.1f} ms, bcrypt alone {median(alone):.1f} ms"
    )
    if "gate.login_cached_ms" in wanted:
        yield Figure("gate.login_cached_ms", median(cached), "ms", median(alone))
    if "gate.login_uncached_ms" in wanted:
        yield Figure("gate.login_uncached_ms", median(uncached), "ms", median(alone))


def _accounts(domain_id: str, stored: str) -> list[str]:
    """Rows only: the gate asks the database, not the engine."""
    from django.utils.timezone import now

    from deftmail.domains.models import Domain
    from deftmail.kit.models import SyncState
    from deftmail.mailboxes.models import MailUser

    domain = Domain.objects.using("owner").get(pk=domain_id)
    emails = [f"gate{number}@{domain.domain}" for number in range(ACCOUNTS)]
    rows = MailUser.objects.using("owner")
    rows.filter(email__in=emails).delete()
    rows.bulk_create(
        MailUser(
            tenant_id=domain.tenant_id,
            domain=domain,
            email=email,
            password_hash=stored,
            sync_state=SyncState.READY,
            synced_at=now(),
        )
        for email in emails
    )
    return emails


def _ask(path: str, address: str) -> None:
    fields = [address.encode(), PASSWORD.encode(), b"imap", b""]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(30)
        client.connect(path)
        client.sendall(b"".join(len(each).to_bytes(2, "big") + each for each in fields))
        answer = client.recv(1024)
    assert answer[2:4] == b"OK", answer
