"""Domains over the API, from claim to deletion."""

from __future__ import annotations

import pytest

from deftmail.domains.models import Domain
from deftmail.domains.testing import make_domain, reload
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.testing import make_mailbox
from deftmail.tenants.models import Tenant
from deftmail.tenants.testing import audit_of, set_columns

pytestmark = pytest.mark.django_db(databases=["default", "system"])


def test_adding_a_domain_answers_with_the_records_to_publish(call, cast, dns):
    answer = call("POST", "/domains", {"domain": "Acme.Example.COM"})
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert (body["domain"], body["status"], body["ownership_proven"]) == ("acme.example.com", "pending", False)
    records = {record["purpose"]: record for record in body["dns_records"]}
    assert list(records) == ["mx", "spf", "dkim", "dmarc"]
    assert all(set(record) == {"purpose", "type", "name", "value", "priority"} for record in records.values())
    assert records["mx"] == {
        "purpose": "mx",
        "type": "MX",
        "name": "acme.example.com",
        "value": "mail.deftmail.test",
        "priority": 10,
    }
    dkim = records["dkim"]
    assert dkim["name"] == "default._domainkey.acme.example.com"
    assert dkim["priority"] is None
    assert '"' not in dkim["value"]
    assert len(dkim["value"]) > 255, "unsplit, however long"
    assert records["dmarc"]["name"] == "_dmarc.acme.example.com"
    assert {check["state"] for check in body["checks"]} == {"pending"}

    (entry,) = audit_of(cast.acme, "domain.added")
    assert entry.actor.startswith("API key test (dm_live_")
    assert entry.ip_address
    assert call("GET", f"/domains/{body['id']}").json() == body


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("", 422, "domain-invalid"),
        ("no-dots", 422, "domain-invalid"),
        ("co.uk", 422, "domain-invalid"),
        ("192.0.2.1", 422, "domain-invalid"),
        ("mail.deftmail.test", 422, "domain-invalid"),
        ("a" * 64 + ".example.com", 422, "domain-invalid"),
        ("spa ce.example.com", 422, "domain-invalid"),
        ("twice.example.com", 409, "domain-exists"),
    ],
)
def test_a_name_that_cannot_be_had_is_refused_on_its_member(call, cast, dns, name, status, code):
    make_domain(cast.acme, "twice.example.com")
    answer = call("POST", "/domains", {"domain": name})
    body = answer.json()
    assert (answer.status_code, body["type"].rsplit("/", 1)[-1]) == (status, code), body
    assert body["errors"][0]["field"] == "domain"
    assert audit_of(cast.acme, "domain.added") == []


@pytest.mark.django_db(databases=["default", "system"], transaction=True)
def test_a_name_that_another_company_has_proven_is_taken_without_a_hint_of_who(call, cast, dns):
    make_domain(cast.other, "taken.example.com", proven=True)
    answer = call("POST", "/domains", {"domain": "taken.example.com"})
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("/domain-taken")
    assert "Other" not in answer.content.decode()


def test_the_plans_ceiling_is_a_conflict_that_names_the_limit(call, cast, dns):
    set_columns(cast.acme, max_domains=1)
    make_domain(cast.acme)
    answer = call("POST", "/domains", {"domain": "second.example.com"})
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("/domain-limit-reached")
    assert answer.json()["limit"] == 1


def test_verifying_answers_with_the_domain_and_what_was_found(call, cast, dns):
    domain = make_domain(cast.acme, "acme.example.com")
    dns.publish(domain, "mx", "dkim")
    body = call("POST", f"/domains/{domain.pk}/verify").json()
    states = {check["purpose"]: check["state"] for check in body["checks"]}
    assert states == {"mx": "pass", "spf": "missing", "dkim": "pass", "dmarc": "missing"}
    assert (body["status"], body["ownership_proven"]) == ("pending", True)
    missing = next(check for check in body["checks"] if check["purpose"] == "spf")
    assert missing["found"] == []
    assert missing["expected"].startswith("v=spf1 ")
    assert missing["message"]
    assert missing["todo"]

    dns.publish(domain)
    body = call("POST", f"/domains/{domain.pk}/verify").json()
    assert {check["state"] for check in body["checks"]} == {"pass"}
    assert body["status"] == "verified"
    assert body["last_checked_at"]


def test_verifying_while_the_dns_is_away_says_unknown_and_fails_nothing(call, cast, dns):
    domain = make_domain(cast.acme, active=True)
    dns.down = True
    body = call("POST", f"/domains/{domain.pk}/verify").json()
    assert {check["state"] for check in body["checks"]} == {"unknown"}
    assert body["status"] == "active"


def test_a_domain_is_deleted_once_it_holds_no_mailbox(call, cast):
    domain = make_domain(cast.acme, active=True)
    mailbox = make_mailbox(domain, "anna")
    refused = call("DELETE", f"/domains/{domain.pk}")
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("/domain-holds-addresses")
    assert refused.json()["addresses"] == [mailbox.email]
    with tenant_tx(cast.acme.pk):
        mailbox.delete()
    assert call("DELETE", f"/domains/{domain.pk}").status_code == 204
    assert call("GET", f"/domains/{domain.pk}").status_code == 404
    assert audit_of(cast.acme, "domain.deleted")


def test_a_suspended_company_reads_and_changes_nothing(call, cast, dns):
    domain = make_domain(cast.acme, active=True)
    set_columns(cast.acme, status=Tenant.Status.SUSPENDED)
    assert call("GET", "/domains").status_code == 200
    assert call("GET", f"/domains/{domain.pk}").status_code == 200
    for answer in (
        call("POST", "/domains", {"domain": "new.example.com"}),
        call("POST", f"/domains/{domain.pk}/verify"),
        call("DELETE", f"/domains/{domain.pk}"),
    ):
        assert answer.status_code == 403
        assert answer.json()["type"].endswith("/company-suspended")
    assert reload(domain).status == Domain.Status.ACTIVE


def test_a_cancelled_company_is_shut(call, cast):
    set_columns(cast.acme, status=Tenant.Status.CANCELLED)
    answer = call("GET", "/domains")
    assert answer.status_code == 403
    assert answer.json()["type"].endswith("/company-cancelled")
