"""Sign-up: from the form through the mail to a company, and what it never tells."""

import re
from datetime import timedelta

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from deftmail.kit import legal, ratelimit
from deftmail.kit.jobs import enqueue
from deftmail.kit.tenancy import tenant_tx
from deftmail.kit.testing import GOOD_PASSWORD
from deftmail.tenants import tasks
from deftmail.tenants.models import Membership, PendingSignup, Plan, Tenant, User
from deftmail.tenants.testing import audit_of, links_in, make_client, make_company, run_jobs, sign_in

pytestmark = pytest.mark.django_db

FORM = {
    "company_name": "Kumar  Textiles",
    "name": "Kumar",
    "email": "Kumar@Kumar-Textiles.example",
    "password": GOOD_PASSWORD,
    "accept": "on",
}
ADDRESS = "kumar@kumar-textiles.example"


def begin(client, **changes):
    return client.post(reverse("tenants:signup"), {**FORM, **changes})


def link_of(message):
    (path,) = links_in(message.body.split("\n--")[0])
    return path


def finish(client):
    begin(client)
    run_jobs()
    return client.post(link_of(mail.outbox[-1]))


def test_a_company_signs_up_and_its_owner_is_in_the_console(guest):
    answer = begin(guest)
    assert (answer.status_code, answer["Location"]) == (303, reverse("tenants:signup_sent"))
    page = guest.get(answer["Location"])
    assert ADDRESS in page.content.decode()
    assert not User.objects.filter(email=ADDRESS).exists()
    assert mail.outbox == []  # the page never waits for Postfix
    assert run_jobs() == 1
    (message,) = mail.outbox
    assert message.to == [ADDRESS]
    assert message.extra_headers["Auto-Submitted"] == "auto-generated"
    path = link_of(message)

    assert "kumar-textiles" in guest.get(path).content.decode()
    assert not User.objects.filter(email=ADDRESS).exists(), "following the link alone must change nothing"
    answer = guest.post(path, {"timezone": "Asia/Kolkata"})
    assert answer.status_code == 302
    user = User.objects.get(email=ADDRESS)
    assert user.timezone == "Asia/Kolkata"
    assert guest.session["_auth_user_id"] == str(user.pk)
    member = Membership.objects.get(user=user)
    assert member.role == "owner"
    with tenant_tx(member.tenant_id):
        company = Tenant.objects.get()
        assert (company.company_name, company.owner_email, company.plan_id) == ("Kumar Textiles", ADDRESS, "starter")
        acts = [row.action for row in audit_of(company)]
    assert acts == ["company.created", "plan.applied", "session.started"]
    assert guest.get(reverse("tenants:settings")).status_code == 200
    assert EmailAddress.objects.get(user=user).verified


def test_the_accepted_versions_are_recorded(guest):
    finish(guest)
    user = User.objects.get(email=ADDRESS)
    assert (user.terms_version, user.privacy_version) == (legal.TERMS_VERSION, legal.PRIVACY_VERSION)
    assert user.terms_accepted_at is not None
    assert user.terms_accepted_at <= now()
    created = audit_of(Tenant(pk=user.membership.tenant_id), "company.created")[0]
    assert created.details["terms_version"] == legal.TERMS_VERSION
    assert created.ip_address is not None


def test_a_trial_has_starters_room_and_sends_at_frees_limits(guest):
    finish(guest)
    member = Membership.objects.get(user__email=ADDRESS)
    starter, free = Plan.objects.get(pk="starter"), Plan.objects.get(pk="free")
    with tenant_tx(member.tenant_id):
        company = Tenant.objects.get()
    assert (company.max_domains, company.max_mailboxes) == (starter.max_domains, starter.max_mailboxes)
    assert company.mailbox_quota_mb == starter.mailbox_quota_mb
    assert company.recipients_per_mailbox_day == free.recipients_per_mailbox_day
    assert company.recipients_per_domain_day == free.recipients_per_domain_day
    assert company.trial_ends_at is not None
    assert timedelta(days=13, hours=23) < company.trial_ends_at - now() <= timedelta(days=14)
    assert not company.api_access


def test_the_link_in_another_browser_asks_for_the_password_of_the_sign_up(guest):
    """Else a stranger signs an address up, its person presses the button, and the stranger has the password."""
    begin(guest)
    run_jobs()
    path, other = link_of(mail.outbox[-1]), make_client()
    assert 'name="password"' in other.get(path).content.decode()
    for typed in ({}, {"password": "wrong password"}, {"password": "x" * 200}, {"password": "\ufffd" * 40}):
        assert other.post(path, typed).status_code == 422
    assert not User.objects.filter(email=ADDRESS).exists()
    assert other.post(path, {"password": FORM["password"]}).status_code == 302
    assert "_auth_user_id" in other.session
    assert sign_in(make_client(), ADDRESS).status_code == 302


def test_the_password_of_a_sign_up_is_not_found_by_trying(guest):
    begin(guest)
    run_jobs()
    path = link_of(mail.outbox[-1])
    statuses = [
        make_client().post(path, {"password": f"guess {number}"}).status_code
        for number in range(ratelimit.LIMITS["account_failures"].burst + 1)
    ]
    assert statuses[-1] == 429


def test_a_link_works_once_and_not_after_a_day(guest):
    begin(guest)
    run_jobs()
    path = link_of(mail.outbox[-1])
    with time_machine.travel(now() + timedelta(hours=24, minutes=1)):
        assert guest.get(path).status_code == 410
        assert guest.post(path).status_code == 410
    assert guest.post(path).status_code == 302
    assert make_client().post(path).status_code == 410
    assert Membership.objects.filter(user__email=ADDRESS).count() == 1


def test_two_intentions_for_one_address_make_one_company(guest):
    begin(guest)
    begin(guest, company_name="Second")
    run_jobs()
    first, second = (link_of(message) for message in mail.outbox)
    assert first != second
    assert guest.post(second).status_code == 302
    assert make_client().post(first).status_code == 410
    assert Membership.objects.filter(user__email=ADDRESS).count() == 1


def test_an_intention_reserves_nothing(guest):
    begin(guest)
    make_company("Elsewhere", ADDRESS)
    run_jobs()
    assert "account already" in mail.outbox[-1].subject


def test_neither_row_nor_job_holds_the_token(guest):
    begin(guest)
    pending = PendingSignup.objects.get()
    run_jobs()
    token = link_of(mail.outbox[-1]).rsplit("/", 1)[1]
    assert token not in (pending.token_hash, str(pending.pk))
    assert pending.password.startswith("bcrypt$$2b$")


def test_mail_that_was_retried_carries_the_same_link(guest):
    begin(guest)
    pending = PendingSignup.objects.get()
    enqueue(tasks.send_signup_mail, pending_id=str(pending.pk))
    assert run_jobs() == 2
    assert len({link_of(message) for message in mail.outbox}) == 1


def without_secrets(response):
    text = response.content.decode()
    text = re.sub(r'(nonce|value|data-nonce)="[^"]*"', r"\1", text)
    return re.sub(r'"X-CSRFToken": "[^"]*"', "", text)


def test_a_known_address_gets_the_same_pages_and_another_mail(cast):
    answers = []
    for address in (cast.owner.email, "nobody-yet@acme-signup.example"):
        client = make_client()
        posted = begin(client, email=address)
        sent = client.get(posted["Location"])
        again = client.post(reverse("tenants:signup_again"))
        text = without_secrets(sent).replace(address, "ADDRESS")
        answers.append((posted.status_code, dict(posted.headers), text, again.status_code, again["Location"]))
    known, unknown = answers
    for headers in (known[1], unknown[1]):
        # A nonce, the request's own id and the second of the answer differ between any two requests.
        for name in ("Content-Security-Policy", "X-Request-ID", "Expires"):
            headers.pop(name, None)
    assert known == unknown
    run_jobs()
    kinds = {message.to[0]: message.subject for message in mail.outbox}
    assert kinds == {
        cast.owner.email: "You have an account already",
        "nobody-yet@acme-signup.example": "Confirm your address",
    }
    to_known = next(message for message in mail.outbox if message.to == [cast.owner.email])
    assert reverse("account_login") in to_known.body
    assert "/signup/confirm/" not in to_known.body


def test_the_request_asks_the_database_the_same_for_known_and_unknown(cast):
    shapes = []
    for address in (cast.owner.email, "nobody-yet@acme-signup.example"):
        client = make_client()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            begin(client, email=address)
        shapes.append([re.sub(r"'[^']*'|s\d+_x\d+", "?", query["sql"])[:60] for query in queries])
    assert shapes[0] == shapes[1]
    assert not any('"users"' in statement for statement in shapes[0])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"password": "short"}, "at least 10 characters"),
        ({"password": "é" * 40}, "at most 72 bytes"),
        ({"password": "password1234"}, "leaked passwords"),
        ({"password": "kumartextiles"}, "easy to guess"),
        ({"email": "kumar@"}, "name@example.com"),
        ({"email": "kümar@kumar.example"}, "name@example.com"),
        ({"company_name": "  "}, "company"),
        ({"accept": ""}, "terms and the privacy policy"),
    ],
)
def test_bad_input_is_a_sentence_on_the_field_and_nothing_happens(guest, change, sentence):
    answer = begin(guest, **change)
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not PendingSignup.objects.exists()
    if "email" not in change:
        assert 'value="Kumar"' in answer.content.decode(), "what was typed stays"


def test_mails_to_one_address_are_limited_from_any_network():
    statuses = [begin(make_client()).status_code for _ in range(5)]
    assert statuses[:3] == [303, 303, 303]
    assert 429 in statuses[3:]


def test_expired_intentions_are_forgotten(guest):
    begin(guest)
    tasks.forget_expired(timestamp=0)
    assert PendingSignup.objects.exists()
    with time_machine.travel(now() + timedelta(hours=25)):
        tasks.forget_expired(timestamp=0)
    assert not PendingSignup.objects.exists()


def test_somebody_signed_in_is_sent_home(cast):
    answer = cast.owner.client.get(reverse("tenants:signup"))
    assert answer.status_code in (302, 303)


def test_an_address_with_accents_is_kept_in_one_form(guest):
    begin(guest, email="Kumar@bücher.example")
    run_jobs()
    assert mail.outbox[-1].to == ["kumar@xn--bcher-kva.example"]
    guest.post(link_of(mail.outbox[-1]))
    for typed in ("kumar@bücher.example", "KUMAR@xn--bcher-kva.example"):
        assert sign_in(make_client(), typed).status_code == 302


def test_a_form_filled_in_wrongly_a_few_times_is_no_sign_up(guest):
    """Who needs seven tries for a good password is not sent away for the rest of the hour; who signs up a lot is."""
    burst = ratelimit.LIMITS["signup"].burst
    for _ in range(burst + 2):
        assert begin(guest, password="password1234").status_code == 422
    assert begin(guest).status_code == 303
    for number in range(burst):
        assert begin(Client(REMOTE_ADDR="2001:db8:77:1::1"), email=f"k{number}@many.example").status_code == 303
    refused = begin(Client(REMOTE_ADDR="2001:db8:77:1::1"), email="one-more@many.example")
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 60
    assert "signed up from your network" in refused.content.decode()
