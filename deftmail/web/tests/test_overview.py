"""The overview: the checklist leads step by step, health takes over, and nobody else's numbers are in it."""

import pytest
from django.db import OperationalError
from django.urls import reverse
from django.utils.timezone import now

from deftmail.domains.testing import make_domain
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.testing import make_mailbox, make_mailbox_person
from deftmail.web.selectors import plans_on_sale
from deftmail.web.views.public import shown

pytestmark = pytest.mark.django_db


def page(person) -> str:
    response = person.client.get(reverse("web:overview"))
    assert response.status_code == 200
    return str(response.content.decode())


def test_the_checklist_names_the_next_step_until_mail_was_read(cast):
    assert reverse("domains:add") in page(cast.owner)
    domain = make_domain(cast.acme, "acme-overview.test", proven=True)
    assert "of 4 are correct for acme-overview.test" in page(cast.owner)
    assert reverse("mailboxes:add") in page(cast.owner), "mailboxes can be made while DNS spreads"
    with tenant_tx(cast.acme.pk):
        domain.status = "active"
        domain.save(update_fields=["status"])
    mailbox = make_mailbox(domain, "anna")
    assert "Open the webmail" in page(cast.owner)
    assert "1 of 4 records is right." in page(cast.owner), "active, but its records broke"
    assert "Show the records" in page(cast.owner)
    make_mailbox_person(cast.acme, domain, "info")
    assert "Sign out and sign in as info@acme-overview.test" in page(cast.owner)
    with tenant_tx(cast.acme.pk):
        MailUser.objects.filter(pk=mailbox.pk).update(user=cast.owner.user)
    assert f'href="{reverse("webmail:index")}">Open the webmail' in page(cast.owner), "he has his own now"
    assert "Sign out and sign in as" not in page(cast.owner)
    with tenant_tx(cast.acme.pk):
        MailUser.objects.filter(pk=mailbox.pk).update(last_login_at=now())
    settled = page(cast.owner)
    assert "Open the webmail" not in settled
    assert "Last sign-ins" in settled
    assert mailbox.email in settled


def test_a_domain_that_is_active_beside_a_wrong_record_says_so(cast):
    domain = make_domain(cast.acme, "wrong-overview.test", active=True)
    with tenant_tx(cast.acme.pk):
        MailUser.objects.filter(pk=make_mailbox(domain, "anna").pk).update(last_login_at=now())
        for purpose in ("mx", "spf", "dkim", "dmarc"):
            setattr(domain, f"{purpose}_verified", True)
        domain.save()
    assert "of 4 records are right" not in page(cast.owner)
    with tenant_tx(cast.acme.pk):
        domain.spf_verified = False
        domain.save()
    assert "3 of 4 records are right" in page(cast.owner)


def test_a_full_mailbox_and_a_failed_one_speak_up(cast):
    domain = make_domain(cast.acme, "acme-full.test", active=True)
    make_mailbox(domain, "full", quota_mb=100, used_bytes=90 * 1048576, last_login_at=now())
    make_mailbox(domain, "roomy", quota_mb=100, used_bytes=10 * 1048576)
    make_mailbox(domain, "broken", sync_state="failed", sync_error="The engine said no.")
    text = page(cast.owner)
    assert "full@acme-full.test" in text
    assert "roomy@acme-full.test" not in text
    assert "The engine said no." in text


def test_a_stranger_and_a_mailbox_person_see_nothing_of_it(cast):
    make_domain(cast.acme, "acme-secret.test", active=True)
    assert "acme-secret" not in page(cast.stranger)
    assert cast.user.client.get(reverse("web:overview")).status_code == 403


def test_the_overview_costs_the_same_however_many_mailboxes(cast, django_assert_max_num_queries):
    domain = make_domain(cast.acme, "acme-many.test", active=True)
    for number in range(30):
        make_mailbox(domain, f"box{number}", last_login_at=now(), used_bytes=number)
    page(cast.owner)
    with django_assert_max_num_queries(16):
        page(cast.owner)


def test_signed_in_people_skip_the_front_page(cast):
    assert cast.owner.client.get("/")["Location"] == reverse("web:overview")
    assert cast.user.client.get("/")["Location"] == reverse("webmail:index")


def test_the_price_page_shows_the_plans_on_sale_and_not_the_free_one(client):
    names = [plan.name for plan in plans_on_sale()]
    assert names == ["Starter", "Business", "Enterprise"]
    starter = shown(plans_on_sale()[0])
    assert starter.price == "$9"
    assert "10 mailboxes" in starter.lines
    assert "300 recipients a day from each mailbox" in starter.lines
    body = client.get("/").content.decode()
    assert "$29" in body
    assert "By agreement" in body


def test_the_front_page_stays_up_without_the_database(client, monkeypatch):
    def away():
        raise OperationalError

    monkeypatch.setattr("deftmail.web.views.public.plans_on_sale", away)
    answer = client.get("/")
    assert answer.status_code == 200
    assert "$29" not in answer.content.decode()
