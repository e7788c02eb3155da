"""Against real Knot DNS and the real engine: records published by RFC 2136 take a domain from claim to active."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import dns.query
import dns.rcode
import dns.tsigkeyring
import dns.update
import pytest

from deftmail.domains import tasks
from deftmail.domains.actions import add_domain, check_domain, delete_domain
from deftmail.domains.models import Domain
from deftmail.domains.records import checks_of, records_of
from deftmail.domains.resolver import DnsResolver
from deftmail.domains.testing import reload
from deftmail.engine.registry import engine
from deftmail.kit.testing import run_jobs
from deftmail.mailproto.dkim import split_txt

pytestmark = [pytest.mark.servers, pytest.mark.django_db(databases=["default", "system"])]


def stack(*arguments: str) -> str:
    """`deftmail stack …` of the running stack (`DEFTMAIL_VAR`)."""
    command = [sys.executable, "-m", "deftmail.stack", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


class Zone:
    """An empty zone of its own on the local DNS."""

    def __init__(self) -> None:
        self.server: dict[str, Any] = json.loads(stack("status", "--json"))["dns"]
        self.name = f"t{secrets.token_hex(5)}.test"
        stack("zone", "create", self.name)

    @property
    def resolver(self) -> DnsResolver:
        return DnsResolver([f"{self.server['host']}:{self.server['port']}"])

    def publish(self, domain: Domain, *purposes: str) -> None:
        """Put the page's records into the zone, as a customer's DNS provider would."""
        ring = dns.tsigkeyring.from_text({self.server["tsig_name"]: self.server["tsig_secret"]})
        update = dns.update.UpdateMessage(self.name, keyring=ring, keyalgorithm=self.server["tsig_algorithm"])
        for record in records_of(domain):
            if record.purpose not in purposes:
                continue
            if record.type == "MX":
                value = f"{record.priority} {record.value}."
            else:
                value = " ".join(f'"{part}"' for part in split_txt(record.value))
            update.replace(f"{record.name}.", 60, record.type, value)
        answer = dns.query.tcp(update, self.server["host"], port=self.server["port"], timeout=5)
        assert answer.rcode() == dns.rcode.NOERROR

    def delete(self) -> None:
        stack("zone", "delete", self.name)


@pytest.fixture
def zone() -> Iterator[Zone]:
    zone = Zone()
    yield zone
    zone.delete()


def signing_keys() -> dict[str, str]:
    """What the real engine signs with: domain → selector."""
    return {found.name: found.signing.selector for found in engine().list_domains() if found.signing}


def test_records_published_by_rfc_2136_prove_verify_and_activate(cast, zone):
    owner = cast.owner.actor
    domain = add_domain(actor=owner, name=zone.name, resolver=zone.resolver)
    found = check_domain(actor=owner, domain_id=domain.pk, resolver=zone.resolver)
    assert {check.state for check in checks_of(found)} == {"missing"}

    zone.publish(found, "dkim")
    found = check_domain(actor=owner, domain_id=domain.pk, resolver=zone.resolver)
    assert (found.status, found.is_proven) == ("pending", True)

    zone.publish(found, "mx", "spf", "dmarc")
    found = check_domain(actor=owner, domain_id=domain.pk, resolver=zone.resolver)
    assert [check.state for check in checks_of(found)] == ["pass"] * 4
    assert found.status == "verified"
    run_jobs(tasks.sync_domain_job)
    row = reload(domain)
    assert (row.status, row.sync_state, row.sync_error) == ("active", "ready", "")
    assert signing_keys()[zone.name] == "default"

    delete_domain(actor=owner, domain_id=domain.pk, confirm=zone.name)
    run_jobs(tasks.remove_domain_job)
    assert zone.name not in signing_keys()


def test_a_name_nobody_has_is_answered_at_once(cast, zone):
    name = f"nobody-{secrets.token_hex(4)}.test"
    started = time.monotonic()
    domain = add_domain(actor=cast.owner.actor, name=name, resolver=zone.resolver)
    found = check_domain(actor=cast.owner.actor, domain_id=domain.pk, resolver=zone.resolver)
    assert time.monotonic() - started < 3
    assert checks_of(found)[0].code == "domain_not_found"
