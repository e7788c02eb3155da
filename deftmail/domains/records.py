"""The records a domain publishes and the results of its checks, in the shapes that pages and API show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from deftmail.domains.models import Domain
from deftmail.kit.conf import conf
from deftmail.mailproto import dnsrecords
from deftmail.mailproto.dnschecks import CheckResult, Checks
from deftmail.mailproto.names import organizational_domain, parse_domain
from deftmail.mailproto.sentences import WARNINGS

PURPOSES = ("mx", "spf", "dkim", "dmarc")
MX_PREFERENCE = 10


@dataclass(frozen=True)
class Record:
    """One record to publish. `host` is the short name DNS providers ask for, relative to the registered domain."""

    purpose: str
    type: str
    name: str
    host: str
    value: str
    priority: int | None
    replaces: tuple[str, ...] = ()

    def to_api(self) -> dict[str, Any]:
        """The API's shape: `name` fully qualified, `value` unquoted and unsplit, an MX preference in `priority`."""
        return {
            "purpose": self.purpose,
            "type": self.type,
            "name": self.name,
            "value": self.value,
            "priority": self.priority,
        }


@dataclass(frozen=True)
class Check:
    """One check in words. `state`: pass, fail, missing, unknown (DNS did not answer), or pending (not looked yet)."""

    purpose: str
    state: str
    found: tuple[str, ...]
    expected: str
    code: str
    message: str
    todo: str
    warnings: tuple[str, ...]
    record: Record

    def to_api(self) -> dict[str, Any]:
        """The API's shape of one check."""
        return {
            "purpose": self.purpose,
            "state": self.state,
            "found": list(self.found),
            "expected": self.expected,
            "code": self.code,
            "message": self.message,
            "todo": self.todo,
            "warnings": list(self.warnings),
        }


def expected(name: str, selector: str, public_b64: str) -> dnsrecords.Expected:
    """What the operator asks of the domain `name`: his mail host, SPF include and DMARC mailbox."""
    return dnsrecords.Expected(
        domain=name,
        mx_host=conf.mail_host,
        spf_include=conf.operator_domain,
        dkim_selector=selector,
        dkim_public_b64=public_b64,
        dmarc_rua=f"dmarc@{conf.operator_domain}",
        mx_preference=MX_PREFERENCE,
    )


def expected_of(domain: Domain) -> dnsrecords.Expected:
    """What the operator asks of a stored domain."""
    return expected(domain.domain, domain.dkim_selector, domain.dkim_public_key)


def stored(records: tuple[dnsrecords.SuggestedRecord, ...]) -> list[dict[str, Any]]:
    """Records as plain data for `Domain.dns_records`."""
    return [
        {
            "purpose": record.purpose,
            "type": record.type,
            "name": record.name,
            "value": record.value,
            "priority": record.priority,
            "replaces": list(record.replaces),
        }
        for record in records
    ]


def records_of(domain: Domain) -> list[Record]:
    """The four records to publish (MX, SPF, DKIM, DMARC), merged with what the last look found."""
    rows = domain.dns_records or stored(dnsrecords.suggest_records(expected_of(domain)))
    apex = organizational_domain(parse_domain(domain.domain))
    return [
        Record(
            purpose=row["purpose"],
            type=row["type"],
            name=row["name"],
            host=dnsrecords.relative_name(row["name"], apex),
            value=row["value"],
            priority=row["priority"],
            replaces=tuple(row["replaces"]),
        )
        for row in rows
    ]


def checks_of(domain: Domain) -> list[Check]:
    """The four checks as last seen, in the reader's language, each beside its record."""
    results = {row["purpose"]: CheckResult.from_json(row) for row in domain.checks}
    return [_check(record, results.get(record.purpose)) for record in records_of(domain)]


def _check(record: Record, result: CheckResult | None) -> Check:
    if result is None:
        wanted = f"{record.priority} {record.value}" if record.priority is not None else record.value
        return Check(record.purpose, "pending", (), wanted, "not_looked", gettext("Not looked yet."), "", (), record)
    said = result.said(gettext)
    return Check(
        purpose=result.purpose,
        state=result.state,
        found=result.found,
        expected=result.expected,
        code=result.code,
        message=said.seen,
        todo=said.todo,
        warnings=tuple(gettext(WARNINGS[code]) % result.params for code in result.warnings),
        record=record,
    )


def as_columns(checks: Checks, domain: Domain) -> dict[str, Any]:
    """The columns that one look changes. What the DNS did not answer leaves its flag and its record as they were."""
    before = {row["purpose"]: row for row in domain.dns_records}
    silent = {check.purpose for check in checks if check.state == "unknown"}
    columns: dict[str, Any] = {
        "checks": [check.to_json() for check in checks],
        "dns_records": [
            before[row["purpose"]] if row["purpose"] in silent and row["purpose"] in before else row
            for row in stored(checks.records)
        ],
    }
    for check in checks:
        if check.purpose not in silent:
            columns[f"{check.purpose}_verified"] = check.state == "pass"
    return columns
