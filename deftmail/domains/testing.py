"""Domains for tests: factories and a DNS that is a table."""

from __future__ import annotations

import functools
import itertools
from typing import Any
from uuid import uuid4

import pytest
from django.utils.timezone import now

from deftmail.domains import looking, records
from deftmail.domains.models import Domain
from deftmail.kit.conf import conf
from deftmail.kit.crypto import seal
from deftmail.kit.models import SyncState
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailproto import dkim, dnsrecords
from deftmail.mailproto.dnsanswer import Answer, RecordType
from deftmail.tenants.models import Tenant

_number = itertools.count(1)
PURPOSES = ("mx", "spf", "dkim", "dmarc")


@functools.cache
def domain_key(number: int = 1) -> dkim.DkimKey:
    """A DKIM key, the same for the same number in one process (making one takes a while)."""
    return dkim.generate_key()


def make_domain(
    tenant: Tenant, name: str = "", *, proven: bool = False, active: bool = False, key: int = 1, **values: Any
) -> Domain:
    """A claimed domain; `proven` may hold mailboxes, `active` (includes proven) is open for mail and in the engine."""
    name = name or f"domain{next(_number)}.test"
    row_id, moment = uuid4(), now()
    pair = domain_key(key)
    columns: dict[str, Any] = {
        "domain_unicode": name,
        "dkim_public_key": pair.public_b64,
        "dkim_private_key": seal(pair.private_pem, table="domains", tenant_id=tenant.pk, row_id=row_id),
        "check_from": moment,
        "next_check_at": moment,
    }
    if proven or active:
        columns |= {
            "ownership_proven_at": moment,
            "dkim_verified": True,
            "sync_state": SyncState.READY,
            "synced_at": moment,
        }
    if active:
        columns |= {f"{purpose}_verified": True for purpose in PURPOSES}
        columns |= {"status": Domain.Status.ACTIVE, "activated_at": moment, "last_verified_at": moment}
    domain = Domain(id=row_id, tenant_id=tenant.pk, domain=name, **(columns | values))
    with tenant_tx(tenant.pk):
        domain.save(force_insert=True)
    return domain


def reload(domain: Domain) -> Domain:
    """The row as it is now."""
    with tenant_tx(domain.tenant_id):
        return Domain.objects.get(pk=domain.pk)


class DnsTable:
    """A DNS that answers from a table and can fail. Holds the operator's SPF record from the start."""

    def __init__(self) -> None:
        self.table: dict[tuple[str, str], Answer] = {}
        self.asked: list[tuple[str, str]] = []
        self.down = False
        self.set(conf.operator_domain, "TXT", "v=spf1 ip4:192.0.2.25 -all")

    def query(self, name: str, rtype: RecordType) -> Answer:
        """As `mailproto.dnsanswer.Resolver`."""
        self.asked.append((name, rtype))
        if self.down:
            return Answer("failure", detail="SERVFAIL")
        known = any(entry == name for entry, _ in self.table)
        return self.table.get((name, rtype), Answer("noanswer" if known else "nxdomain"))

    def set(self, name: str, rtype: str, *values: str) -> None:
        """Publish these values, or none."""
        self.table[name, rtype] = Answer("records", values) if values else Answer("noanswer")

    def fail(self, name: str, rtype: str) -> None:
        """Let one question go unanswered."""
        self.table[name, rtype] = Answer("failure", detail="SERVFAIL")

    def publish(self, domain: Domain, *purposes: str) -> None:
        """Publish what the domain is asked for: all four records, or these."""
        for record in dnsrecords.suggest_records(records.expected_of(domain)):
            if record.purpose in (purposes or PURPOSES):
                value = f"{record.priority} {record.value}" if record.type == "MX" else record.value
                self.set(record.name, record.type, value)

    def remove(self, domain: Domain, *purposes: str) -> None:
        """Take records of the domain away again."""
        for record in dnsrecords.suggest_records(records.expected_of(domain)):
            if record.purpose in (purposes or PURPOSES):
                self.table.pop((record.name, record.type), None)


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> DnsTable:
    """The DNS of this test, in the place of the configured servers."""
    table = DnsTable()
    monkeypatch.setattr(looking, "make_resolver", lambda: table)
    return table
