"""Claiming a name: what is refused and with which words, the key, the ceiling, two at once."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connections

from deftmail.domains import errors
from deftmail.domains.actions import add_domain
from deftmail.domains.models import Domain
from deftmail.domains.testing import make_domain, reload
from deftmail.kit.crypto import SealBroken, unseal
from deftmail.kit.errors import Forbidden
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailproto import dkim
from deftmail.tenants.errors import CompanySuspended
from deftmail.tenants.testing import audit_of, make_company, set_columns

BOTH = pytest.mark.django_db(databases=["default", "system"])
COMMITTED = pytest.mark.django_db(databases=["default", "system"], transaction=True)


@BOTH
def test_a_claim_has_its_key_its_records_and_its_first_look_in_a_minute(cast, dns):
    domain = add_domain(actor=cast.admin.actor, name=" Acme.TEST. ")
    row = reload(domain)
    assert (row.domain, row.status, row.is_proven) == ("acme.test", "pending", False)
    assert row.next_check_at == row.check_from + timedelta(minutes=1)
    assert [record["purpose"] for record in row.dns_records] == ["mx", "spf", "dkim", "dmarc"]
    pem = unseal(row.dkim_private_key, table="domains", tenant_id=cast.acme.pk, row_id=row.pk)
    assert dkim.public_b64_of(pem) == row.dkim_public_key
    assert [entry.target for entry in audit_of(cast.acme, "domain.added")] == ["acme.test"]


@BOTH
def test_the_key_opens_only_for_its_own_row(cast, dns):
    domain = add_domain(actor=cast.owner.actor, name="acme.test")
    other = make_domain(cast.acme, "other.test")
    with pytest.raises(SealBroken):
        unseal(domain.dkim_private_key, table="domains", tenant_id=cast.acme.pk, row_id=other.pk)


@BOTH
@pytest.mark.parametrize(
    ("typed", "stored", "shown"),
    [
        ("büro.example", "xn--bro-hoa.example", "büro.example"),
        ("xn--bro-hoa.example", "xn--bro-hoa.example", "büro.example"),
        ("https://shop.acme.test/", "shop.acme.test", "shop.acme.test"),
    ],
)
def test_other_scripts_and_subdomains_are_domains_of_their_own(cast, dns, typed, stored, shown):
    make_domain(cast.acme, "acme.test", active=True)
    domain = add_domain(actor=cast.owner.actor, name=typed)
    assert (domain.domain, domain.domain_unicode) == (stored, shown)


@BOTH
@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "empty"),
        ("acme", "single_label"),
        ("co.uk", "public_suffix"),
        ("192.0.2.1", "ip_address"),
        ("a_b.test", "bad_label"),
        ("acme.localhost", "special_use"),
        ("x" * 64 + ".test", "label_too_long"),
        ("me@acme.test", "bad_label"),
        ("deftmail.test", "operator"),
        ("shop.deftmail.test", "operator"),
        ("a b.test\x00", "bad_label"),
    ],
)
def test_what_cannot_be_hosted_is_refused_on_the_field(cast, dns, typed, reason):
    with pytest.raises(errors.DomainInvalid) as refused:
        add_domain(actor=cast.owner.actor, name=typed)
    assert refused.value.data["reason"] == reason
    assert refused.value.field == "domain"
    assert str(refused.value).endswith(".")
    assert dns.asked == []


@BOTH
def test_the_same_name_twice_in_a_company_is_refused(cast, dns):
    make_domain(cast.acme, "acme.test")
    with pytest.raises(errors.DomainExists):
        add_domain(actor=cast.owner.actor, name="ACME.test")


@BOTH
def test_two_companies_may_claim_a_name_that_neither_has_proven(cast, dns):
    make_domain(cast.other, "acme.test")
    assert add_domain(actor=cast.owner.actor, name="acme.test").status == "pending"


@COMMITTED
def test_a_name_another_company_has_proven_is_refused_without_a_hint(dns):
    acme, other = make_company("Acme"), make_company("Other Ltd", "stan@other.example")
    make_domain(other.tenant, "taken.test", active=True)
    with pytest.raises(errors.DomainTaken) as refused:
        add_domain(actor=acme.actor, name="taken.test")
    assert "Other" not in str(refused.value)
    assert "stan" not in str(refused.value)
    assert refused.value.data == {}


@BOTH
def test_the_plans_ceiling_is_named(cast, dns):
    set_columns(cast.acme, max_domains=2)
    make_domain(cast.acme)
    make_domain(cast.acme)
    with pytest.raises(errors.DomainLimitReached) as refused:
        add_domain(actor=cast.owner.actor, name="third.test")
    assert "2 domains" in str(refused.value)


@BOTH
def test_no_ceiling_means_unlimited(cast, dns):
    set_columns(cast.acme, max_domains=None)
    for _ in range(3):
        make_domain(cast.acme)
    assert add_domain(actor=cast.owner.actor, name="more.test").status == "pending"


@BOTH
@pytest.mark.parametrize("status", ["suspended", "cancelled"])
def test_a_stopped_company_changes_nothing(cast, dns, status):
    set_columns(cast.acme, status=status)
    with pytest.raises(CompanySuspended):
        add_domain(actor=cast.owner.actor, name="acme.test")


@BOTH
def test_a_mailbox_person_may_not_add(cast, dns):
    with pytest.raises(Forbidden):
        add_domain(actor=cast.user.actor, name="acme.test")


@BOTH
def test_a_dns_away_does_not_keep_a_domain_from_being_added(cast, dns):
    dns.down = True
    domain = add_domain(actor=cast.owner.actor, name="acme.test")
    assert domain.dkim_selector == "default"
    assert domain.dns_records[1]["value"] == "v=spf1 mx include:deftmail.test ~all"


@COMMITTED
def test_of_two_adds_at_the_ceiling_one_succeeds(dns):
    owner = make_company("Acme", max_domains=1)
    start, ended = threading.Barrier(2), []

    def add(name: str) -> None:
        start.wait()
        try:
            add_domain(actor=owner.actor, name=name)
            ended.append("added")
        except errors.DomainLimitReached:
            ended.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=add, args=(name,)) for name in ("one.test", "two.test")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(ended) == ["added", "refused"]
    with tenant_tx(owner.tenant.pk):
        assert Domain.objects.count() == 1
