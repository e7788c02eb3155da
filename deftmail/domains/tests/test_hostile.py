"""What a DNS may answer, and where the product's mail about a domain goes."""

from __future__ import annotations

import pytest
from django.urls import reverse

from deftmail.domains import tasks
from deftmail.domains.actions import add_domain, check_domain
from deftmail.domains.selectors import owner_addresses
from deftmail.domains.testing import DnsTable, make_domain, reload
from deftmail.tenants.displaced import displace
from deftmail.tenants.testing import Cast

BOTH = pytest.mark.django_db(databases=["default", "system"])
HOSTILE = (
    "v=spf1 \0 include:\0 ~all",
    "\0",
    "v=spf1 include:" + "a" * 8000 + " -all",
    "v=DKIM1; p=\0\x7f\x1b[31m",
    "v=DMARC1; p=none; rua=mailto:\0",
    "v=spf1 %s %(who)s {0} include:%{i}.example -all",
    "<script>alert(1)</script>",
)


@BOTH
@pytest.mark.parametrize("text", HOSTILE)
def test_no_record_breaks_a_look_its_page_or_a_claim(cast: Cast, dns: DnsTable, text: str) -> None:
    for name in ("acme.test", "default._domainkey.acme.test", "_dmarc.acme.test"):
        dns.set(name, "TXT", text)
    dns.set("acme.test", "MX", "10 \\000evil.example")
    domain = add_domain(actor=cast.owner.actor, name="acme.test")
    assert check_domain(actor=cast.owner.actor, domain_id=domain.pk).status == "pending"
    page = cast.owner.client.get(reverse("domains:detail", args=[domain.pk]))
    assert page.status_code == 200
    assert b"<script>alert(1)" not in page.content
    tasks.check_domain_job(tenant_id=str(domain.tenant_id), domain_id=str(domain.pk))
    assert reload(domain).check_count == 2


@BOTH
def test_nothing_is_mailed_to_the_address_a_displaced_owner_lost(cast: Cast) -> None:
    make_domain(cast.acme, "acme.test", active=True)
    displace(cast.owner.user)
    assert owner_addresses(cast.acme.pk) == []


@BOTH
@pytest.mark.parametrize("name", ["domains:list", "mailboxes:list"])
@pytest.mark.parametrize("value", ["\0", "@", "a@\0", "xn--", "xn--\ufffd", "%", "💥" * 400])
def test_no_search_word_breaks_a_list(cast: Cast, name: str, value: str) -> None:
    asked = {"q": value, "status": value, "sort": value, "page": value, "domain": value}
    assert cast.owner.client.get(reverse(name), asked).status_code == 200
