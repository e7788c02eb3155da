"""The pages as a browser meets them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from django.utils.timezone import now

from deftmail.domains.pages import flags_of
from deftmail.domains.testing import make_domain, reload
from deftmail.kit.conf import conf
from deftmail.kit.middleware import limit_of
from deftmail.mailproto.dkim import key_record_value
from deftmail.tenants.testing import set_columns

pytestmark = pytest.mark.django_db(databases=["default", "system"])
HTMX = {"HTTP_HX_REQUEST": "true", "HTTP_HX_REQUEST_TYPE": "partial"}


def text_of(response, status: int = 200) -> str:
    assert response.status_code == status, response.content[:400]
    text: str = response.content.decode()
    return text


def queries(client, url: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


def test_an_empty_list_says_what_to_do_next(cast):
    page = text_of(cast.owner.client.get("/domains/"))
    assert "No domains yet" in page
    assert 'href="/domains/add/"' in page


def test_the_list_shows_state_and_records_of_each_domain(cast):
    make_domain(cast.acme, "open.test", active=True)
    make_domain(cast.acme, "broken.test", active=True, degraded_since=now(), spf_verified=False)
    make_domain(cast.acme, "xn--bro-hoa.example", domain_unicode="büro.example")
    make_domain(cast.other, "hidden.test")
    page = text_of(cast.admin.client.get("/domains/"))
    assert "Degraded" in page
    assert "SPF is no longer right" in page
    assert "büro.example" in page
    assert "SPF is not right yet" in page
    assert "hidden.test" not in page


def test_the_list_marks_a_record_that_broke_otherwise_than_one_that_was_not_published_yet(cast):
    broken = make_domain(cast.acme, "broken.test", active=True, spf_verified=False)
    fresh = make_domain(cast.acme, "fresh.test")
    shown = {flag.name: (flag.icon, flag.tone) for flag in flags_of(broken)}
    assert shown["SPF"] == ("triangle-alert", "text-warn")
    assert shown["MX"] == ("circle-check", "text-good")
    assert {(flag.icon, flag.tone) for flag in flags_of(fresh)} == {("circle-dashed", "muted")}


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("q=acm", ["acme.test"]),
        ("q=büro.example", ["xn--bro-hoa.example"]),
        ("q=BRO-HOA", ["xn--bro-hoa.example"]),
        ("status=active", ["acme.test"]),
        ("status=degraded", []),
        ("status=nonsense", ["acme.test", "xn--bro-hoa.example"]),
        ("sort=-name", ["xn--bro-hoa.example", "acme.test"]),
        ("q=%00", ["acme.test", "xn--bro-hoa.example"]),
        ("page=99", ["acme.test", "xn--bro-hoa.example"]),
    ],
)
def test_search_filter_and_sort_live_in_the_address(cast, query, shown):
    make_domain(cast.acme, "acme.test", active=True)
    make_domain(cast.acme, "xn--bro-hoa.example", domain_unicode="büro.example")
    rows = cast.owner.client.get(f"/domains/?{query}").context["rows"]
    assert [row.domain.domain for row in rows] == shown


def test_the_lists_queries_do_not_grow_with_it(cast):
    make_domain(cast.acme)
    few = queries(cast.owner.client, "/domains/")
    for _ in range(24):
        make_domain(cast.acme)
    assert queries(cast.owner.client, "/domains/") == few
    assert few <= 12


def test_the_page_of_a_domain_reads_little(cast):
    domain = make_domain(cast.acme, active=True)
    assert queries(cast.owner.client, f"/domains/{domain.pk}/") <= 12


def test_a_long_list_is_paged(cast):
    for number in range(30):
        make_domain(cast.acme, f"d{number:02}.test")
    page = cast.owner.client.get("/domains/?page=2")
    assert [row.domain.domain for row in page.context["rows"]] == [f"d{n}.test" for n in range(25, 30)]


def test_where_the_plan_has_no_room_the_page_says_so_and_whom_to_write_to(cast):
    assert 'name="domain"' in text_of(cast.owner.client.get("/domains/add/"))
    make_domain(cast.acme, "acme.test")
    set_columns(cast.acme, max_domains=1)
    page = text_of(cast.owner.client.get("/domains/add/"))
    assert "Your plan includes 1 domain, and it is in use." in page
    assert f'href="mailto:{conf.support_email}"' in page
    assert 'name="domain"' not in page
    refused = text_of(cast.owner.client.post("/domains/add/", {"domain": "two.test"}), 422)
    assert f"write to {conf.support_email} for more" in refused


def test_adding_leads_to_the_records(cast, dns):
    answer = cast.owner.client.post("/domains/add/", {"domain": "acme.test"})
    assert answer.status_code == 303
    page = text_of(cast.owner.client.get(answer["Location"]))
    assert "default._domainkey" in page
    assert "v=spf1 mx include:deftmail.test ~all" in page
    assert "The first look comes within a minute" in page


def test_a_refused_name_stays_in_its_field_with_the_reason(cast, dns):
    page = text_of(cast.owner.client.post("/domains/add/", {"domain": "co.uk"}), 422)
    assert 'value="co.uk"' in page
    assert "Many owners share co.uk" in page


def test_the_page_shows_each_record_as_found_and_expected(cast, dns):
    domain = make_domain(cast.acme, "acme.test")
    dns.publish(domain, "mx")
    dns.set("acme.test", "TXT", "v=spf1 -all")
    assert cast.owner.client.post(f"/domains/{domain.pk}/check/").status_code == 303
    page = text_of(cast.owner.client.get(f"/domains/{domain.pk}/"))
    assert "As expected" in page  # the MX record
    assert "v=spf1 -all</code>" in page  # what stands there instead
    assert "The SPF record does not name our servers." in page
    assert "There is no DKIM record." in page
    assert key_record_value(domain.dkim_public_key) in page
    assert "1 of 4 records is right." in page


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("mx", "What is sent to acme.test may go elsewhere until its MX record is right again."),
        ("spf", "Mail arrives and leaves, but receivers may refuse some"),
    ],
)
def test_an_active_domain_does_not_say_that_all_is_well_while_a_record_is_wrong(cast, wrong, said):
    domain = make_domain(cast.acme, "acme.test", active=True, **{f"{wrong}_verified": False})
    url = f"/domains/{domain.pk}/"
    page = text_of(cast.owner.client.get(url))
    assert '<li data-state="now"><div><h3>Publish the records</h3>' in page
    assert "3 of 4 records are right. We look again before we call it broken." in page
    assert said in page
    assert "All four are in your DNS" not in page
    assert "Mail arrives and leaves.<" not in page
    degraded = make_domain(cast.acme, "broken.test", active=True, degraded_since=now(), spf_verified=False)
    assert "We look again" not in text_of(cast.owner.client.get(f"/domains/{degraded.pk}/"))


def test_check_now_answers_htmx_with_the_living_part_only(cast, dns):
    domain = make_domain(cast.acme, "acme.test")
    answer = cast.owner.client.post(f"/domains/{domain.pk}/check/", **HTMX)
    page = text_of(answer)
    assert page.lstrip().startswith('<div id="domain-live"')
    assert "<html" not in page
    assert "0 of 4 records are right." in answer["HX-Trigger"]


def test_an_unsettled_page_keeps_itself_fresh_and_a_settled_one_does_not(cast):
    waiting, open_ = make_domain(cast.acme, "waiting.test"), make_domain(cast.acme, "open.test", active=True)
    assert 'hx-trigger="every 20s"' in text_of(cast.owner.client.get(f"/domains/{waiting.pk}/", **HTMX))
    assert "every 20s" not in text_of(cast.owner.client.get(f"/domains/{open_.pk}/", **HTMX))


def test_checks_have_a_limit_of_their_own(cast):
    domain = make_domain(cast.acme, "acme.test")
    view = resolve(f"/domains/{domain.pk}/check/").func
    assert limit_of(view, "domains:check", "POST") == "dns_check"


def test_a_failed_claim_says_why_and_how_to_go_on(cast, dns):
    domain = make_domain(cast.acme, "acme.test", status="failed", next_check_at=None)
    assert "We stopped looking for this domain" in text_of(cast.owner.client.get(f"/domains/{domain.pk}/"))
    cast.owner.client.post(f"/domains/{domain.pk}/check/")
    row = reload(domain)
    assert row.status == "pending"
    assert row.next_check_at is not None


def test_deleting_asks_for_the_name(cast):
    domain = make_domain(cast.acme, "xn--bro-hoa.example", domain_unicode="büro.example")
    url = f"/domains/{domain.pk}/delete/"
    assert "Type büro.example to confirm" in text_of(cast.owner.client.get(url))
    assert "Nothing was changed" in text_of(cast.owner.client.post(url, {"confirm": "other.test"}), 422)
    answer = cast.owner.client.post(url, {"confirm": "büro.example"})
    assert (answer.status_code, answer["Location"]) == (303, "/domains/")
    assert cast.owner.client.get(f"/domains/{domain.pk}/").status_code == 404


def test_deleting_names_the_mailboxes_that_go_with_it(cast, monkeypatch):
    from deftmail.domains.actions import removing

    monkeypatch.setattr(removing, "domain_address_sources", [lambda domain: [f"kumar@{domain.domain}"]])
    monkeypatch.setattr(removing, "domain_deletion_hooks", [])
    domain = make_domain(cast.acme, "acme.test", active=True)
    url = f"/domains/{domain.pk}/delete/"
    assert 'value="kumar@acme.test"' in text_of(cast.owner.client.get(url))
    page = text_of(cast.owner.client.post(url, {"confirm": "acme.test"}), 422)
    assert "This domain holds mailboxes" in page
    assert reload(domain).is_proven
    answer = cast.owner.client.post(url, {"confirm": "acme.test", "addresses": "kumar@acme.test"})
    assert answer.status_code == 303


def test_the_page_is_right_for_a_subdomain_in_its_parents_zone(cast):
    domain = make_domain(cast.acme, "shop.acme.test")
    checks = cast.owner.client.get(f"/domains/{domain.pk}/").context["page"].cards
    assert [card.check.record.host for card in checks] == ["shop", "shop", "default._domainkey.shop", "_dmarc.shop"]
    assert (
        "default._domainkey.shop.acme.test. 3600 IN TXT"
        in cast.owner.client.get(f"/domains/{domain.pk}/").context["page"].zone_lines
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [("get", ""), ("post", "check/"), ("post", "retry/"), ("get", "delete/"), ("post", "delete/")],
)
def test_a_stranger_finds_nothing_and_a_mailbox_person_may_not(cast, dns, method, path):
    domain = make_domain(cast.acme, "acme.test", active=True, last_verified_at=now() - timedelta(days=1))
    url = f"/domains/{domain.pk}/{path}"
    assert getattr(cast.stranger.client, method)(url, {"confirm": "acme.test"}).status_code == 404
    assert getattr(cast.user.client, method)(url, {"confirm": "acme.test"}).status_code == 403
    assert reload(domain).status == "active"
    assert dns.asked == []


def test_a_guest_is_sent_to_sign_in(guest, db):
    assert guest.get("/domains/").status_code == 302
