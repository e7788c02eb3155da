"""Mailboxes over the API."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from django.urls import reverse

from deftmail.api.tests.conftest import Caller, key_of
from deftmail.domains.testing import make_domain
from deftmail.kit import ratelimit
from deftmail.kit.testing import GOOD_PASSWORD
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.testing import make_mailbox, reload
from deftmail.sending import counters
from deftmail.sending.decisions import Code
from deftmail.sending.limits import Decision
from deftmail.tenants.models import Tenant
from deftmail.tenants.testing import audit_of, set_columns

OTHER_PASSWORD = "tin harbour velvet moss"
pytestmark = pytest.mark.django_db(databases=["default", "system"])


@pytest.fixture
def domain(cast):
    return make_domain(cast.acme, "acme.example.com", active=True)


def test_a_mailbox_is_made_and_waits_for_the_engine(call, cast, domain):
    sent = {
        "email": "Anna@Acme.example.com",
        "password": GOOD_PASSWORD,
        "display_name": "Anna Berg",
        "quota_mb": 100,
    }
    answer = call("POST", "/mailboxes", sent)
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert body["email"] == "anna@acme.example.com"
    assert (body["status"], body["provisioning"], body["display_name"], body["quota_mb"]) == (
        "active",
        "pending",
        "Anna Berg",
        100,
    )
    assert "password" not in answer.content.decode()
    (entry,) = audit_of(cast.acme, "mailbox.created")
    assert entry.target == "anna@acme.example.com"
    assert call("GET", f"/mailboxes/{body['id']}").json() == body


def test_what_is_left_out_takes_the_plans_storage_and_no_name(call, cast, domain):
    sent = {"email": "anna@acme.example.com", "password": GOOD_PASSWORD, "display_name": None, "quota_mb": None}
    body = call("POST", "/mailboxes", sent).json()
    assert (body["quota_mb"], body["display_name"]) == (cast.acme.mailbox_quota_mb, "")


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"email": "anna"}, 422, "address-invalid", "email"),
        ({"email": "anna@other.example.com"}, 422, "domain-not-yours", "email"),
        ({"email": "anna@strangers.example.com"}, 422, "domain-not-yours", "email"),
        ({"email": "anna@claimed.example.com"}, 409, "domain-not-proven", "email"),
        ({"email": "taken@acme.example.com"}, 409, "address-taken", "email"),
        ({"password": "123456"}, 422, "password-refused", "password"),
        ({"password": "x" * 73}, 422, "password-refused", "password"),
        ({"quota_mb": 9_999_999}, 422, "quota-invalid", "quota_mb"),
        ({"quota_mb": 0}, 422, "invalid", "quota_mb"),
        ({"quota_mb": "many"}, 422, "invalid", "quota_mb"),
        ({"quota_mb": True}, 422, "invalid", "quota_mb"),
        ({"display_name": "a\x00b"}, 422, "invalid", "display_name"),
        ({"display_name": "x" * 256}, 422, "invalid", "display_name"),
        ({"surprise": 1}, 422, "invalid", "surprise"),
    ],
)
def test_a_refusal_names_its_member_and_makes_nothing(call, cast, domain, change, status, code, field):
    make_domain(cast.acme, "claimed.example.com")
    make_domain(cast.other, "strangers.example.com", active=True)
    make_mailbox(domain, "taken")
    answer = call("POST", "/mailboxes", {"email": "anna@acme.example.com", "password": GOOD_PASSWORD} | change)
    body = answer.json()
    assert (answer.status_code, body["type"].rsplit("/", 1)[-1]) == (status, code), body
    assert [error["field"] for error in body["errors"]] == [field]
    assert "Value" not in body["detail"], "a sentence for a person, not pydantic's"
    assert [row["email"] for row in call("GET", "/mailboxes").json()["items"]] == ["taken@acme.example.com"]


def test_the_plans_ceiling_is_a_conflict(call, cast, domain):
    set_columns(cast.acme, max_mailboxes=1)
    make_mailbox(domain)
    answer = call("POST", "/mailboxes", {"email": "anna@acme.example.com", "password": GOOD_PASSWORD})
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("/mailbox-limit-reached")


def test_a_change_changes_what_is_given_and_nothing_else(call, domain):
    mailbox = make_mailbox(domain, "anna", display_name="Anna", quota_mb=100)
    path = f"/mailboxes/{mailbox.pk}"
    assert call("PATCH", path, {}).json()["display_name"] == "Anna"
    body = call("PATCH", path, {"display_name": "Anna Berg"}).json()
    assert (body["display_name"], body["quota_mb"], body["status"]) == ("Anna Berg", 100, "active")
    body = call("PATCH", path, {"quota_mb": 200, "status": "disabled"}).json()
    assert (body["display_name"], body["quota_mb"], body["status"]) == ("Anna Berg", 200, "disabled")
    body = call("PATCH", path, {"display_name": None, "status": None}).json()
    assert (body["display_name"], body["status"]) == ("", "disabled")
    assert call("PATCH", path, {"status": "active"}).json()["status"] == "active"


def test_a_change_is_done_whole_or_not_at_all(call, domain):
    mailbox = make_mailbox(domain, "anna", display_name="Anna", status=MailUser.Status.SUSPENDED)
    refused = call("PATCH", f"/mailboxes/{mailbox.pk}", {"display_name": "New", "status": "active"})
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("/mailbox-suspended")
    assert reload(mailbox).display_name == "Anna"
    # The state is the operator's word, so nobody can write it either.
    assert call("PATCH", f"/mailboxes/{mailbox.pk}", {"status": "suspended"}).status_code == 422


def test_a_password_is_set_and_a_weak_one_refused(call, cast, domain):
    mailbox = make_mailbox(domain, "anna")
    before = mailbox.password_hash
    path = f"/mailboxes/{mailbox.pk}/password"
    refused = call("POST", path, {"password": "password1"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "password"
    assert reload(mailbox).password_hash == before
    answer = call("POST", path, {"password": "quiet harbour tram sixteen"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert reload(mailbox).password_hash != before
    assert audit_of(cast.acme, "mailbox.password_set")


def test_a_mailbox_is_deleted_and_its_address_is_free(call, cast, domain):
    mailbox = make_mailbox(domain, "anna")
    assert call("DELETE", f"/mailboxes/{mailbox.pk}").status_code == 204
    assert call("GET", f"/mailboxes/{mailbox.pk}").status_code == 404
    assert call("DELETE", f"/mailboxes/{mailbox.pk}").status_code == 404
    assert audit_of(cast.acme, "mailbox.deleted")
    again = call("POST", "/mailboxes", {"email": mailbox.email, "password": GOOD_PASSWORD})
    assert again.status_code == 201
    assert again.json()["id"] != str(mailbox.pk)


def test_the_owners_own_mailbox_is_beyond_a_key(call, cast, domain):
    mailbox = make_mailbox(domain, "olive", person=cast.owner.user)
    for answer in (
        call("POST", f"/mailboxes/{mailbox.pk}/password", {"password": "quiet harbour tram sixteen"}),
        call("PATCH", f"/mailboxes/{mailbox.pk}", {"status": "disabled"}),
        call("DELETE", f"/mailboxes/{mailbox.pk}"),
    ):
        assert answer.status_code == 403, answer.content


def test_a_suspended_company_reads_and_changes_nothing(call, cast, domain):
    mailbox = make_mailbox(domain, "anna")
    path = f"/mailboxes/{mailbox.pk}"
    set_columns(cast.acme, status=Tenant.Status.SUSPENDED)
    assert call("GET", "/mailboxes").status_code == 200
    assert call("GET", path).status_code == 200
    for answer in (
        call("POST", "/mailboxes", {"email": "new@acme.example.com", "password": GOOD_PASSWORD}),
        call("PATCH", path, {"display_name": "New"}),
        call("PATCH", path, {"status": "disabled"}),
        call("POST", path + "/password", {"password": GOOD_PASSWORD}),
        call("DELETE", path),
    ):
        assert answer.status_code == 403, answer.content
        assert answer.json()["type"].endswith("/company-suspended")


def test_pages_hold_every_row_once_while_rows_come_and_go(call, domain):
    for number in range(10):
        make_mailbox(domain, f"box{number}")
    first = call("GET", "/mailboxes?limit=4").json()
    assert [row["email"].split("@")[0] for row in first["items"]] == ["box0", "box1", "box2", "box3"]
    make_mailbox(domain, "aaa")  # sorts before what was read: shifts nothing
    make_mailbox(domain, "box3x")  # sorts behind it: is seen
    call("DELETE", f"/mailboxes/{first['items'][-1]['id']}")  # the row that the cursor stands on
    seen, cursor = [], first["next"]
    while cursor:
        body = call("GET", f"/mailboxes?limit=4&cursor={cursor}").json()
        seen += [row["email"].split("@")[0] for row in body["items"]]
        cursor = body["next"]
    assert seen == ["box3x", "box4", "box5", "box6", "box7", "box8", "box9"]


def test_a_page_that_holds_exactly_the_rest_is_the_last(call, domain):
    for number in range(4):
        make_mailbox(domain, f"box{number}")
    first = call("GET", "/mailboxes?limit=2").json()
    second = call("GET", f"/mailboxes?limit=2&cursor={first['next']}").json()
    assert (len(second["items"]), second["next"]) == (2, None)


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "%00",
        "€",
        "A" * 601,
        "=" * 8,
        "a b",
        base64.urlsafe_b64encode(b"a\x00b").decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        base64.urlsafe_b64encode(b'["x", "y"]\n').decode(),
    ],
)
def test_a_forged_cursor_is_refused(call, cursor):
    answer = call("GET", f"/mailboxes?cursor={cursor}")
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["field"] == "cursor"


def test_a_forged_cursor_never_leaves_the_company(call, cast):
    stranger = make_mailbox(make_domain(cast.other, "other.example.com", active=True), "secret")
    cursor = base64.urlsafe_b64encode(b"a").decode().rstrip("=")
    assert stranger.email not in call("GET", f"/mailboxes?cursor={cursor}").content.decode()


def test_a_list_can_be_narrowed(call, cast, domain):
    elsewhere = make_domain(cast.acme, "second.example.com", active=True)
    make_mailbox(domain, "anna", display_name="Anna Berg")
    make_mailbox(elsewhere, "jonas")
    emails = lambda query: [row["email"] for row in call("GET", f"/mailboxes?{query}").json()["items"]]  # noqa: E731
    assert emails("q=BERG") == ["anna@acme.example.com"]
    assert emails("q=jon") == ["jonas@second.example.com"]
    assert emails(f"domain_id={elsewhere.pk}") == ["jonas@second.example.com"]
    assert call("GET", "/mailboxes?q=a%00b").status_code == 422
    assert call("GET", "/mailboxes?domain_id=x").status_code == 422
    for limit in ("0", "201", "-1", "ten"):
        refused = call("GET", f"/mailboxes?limit={limit}")
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "limit")


def test_setting_passwords_has_a_limit_of_its_own_for_the_whole_company(call, cast, domain, monkeypatch):
    """Refused before anything is judged or hashed; all else of the key goes on."""
    monkeypatch.setitem(ratelimit.LIMITS, "hashing", ratelimit.Limit("hashing", 3, 60, 3, guard=True))
    new = {"email": "anna@acme.example.com", "password": GOOD_PASSWORD}
    mailbox = call("POST", "/mailboxes", new).json()["id"]
    path = f"/mailboxes/{mailbox}/password"
    assert call("POST", path, {"password": "password1234"}).status_code == 422
    assert call("POST", path, {"password": OTHER_PASSWORD}).status_code == 204
    another_key = Caller(key_of(cast.owner, "mailboxes:write"))
    for refused in (
        another_key("POST", path, {"password": GOOD_PASSWORD}),
        another_key("POST", "/mailboxes", new | {"email": "bert@acme.example.com"}),
    ):
        assert refused.status_code == 429, refused.content
        assert 0 < int(refused["Retry-After"]) <= 60
        assert refused.json()["type"].endswith("/too-many-requests")
    assert call("PATCH", f"/mailboxes/{mailbox}", {"display_name": "Anna"}).status_code == 200
    assert call("POST", "/mailboxes", new).status_code == 409, "what is refused anyhow costs nothing"
    assert [row["email"] for row in call("GET", "/mailboxes").json()["items"]] == ["anna@acme.example.com"]
    # Another company, and a person in the console, have limits of their own.
    theirs = make_mailbox(make_domain(cast.other, "other.example.com", active=True), "eve")
    stranger = Caller(key_of(cast.stranger))
    assert stranger("POST", f"/mailboxes/{theirs.pk}/password", {"password": OTHER_PASSWORD}).status_code == 204
    page = cast.owner.client.post(reverse("mailboxes:password", args=[mailbox]), {"reset-password": GOOD_PASSWORD})
    assert page.status_code == 303


def test_whether_a_message_may_leave_is_asked_in_the_spelling_of_the_doors(call, domain, monkeypatch):
    asked = []

    def peek(address, recipients):
        asked.append((address, recipients))
        return Decision(Code.LATER, "limit-mailbox_day", "Limit reached. See x", "mailbox_day", 50, 50, at)

    at = datetime(2026, 3, 2, 15, tzinfo=UTC)
    monkeypatch.setattr(counters, "peek", peek)
    path = f"/mailboxes/{make_mailbox(domain, 'anna').pk}/may-send"
    assert call("GET", path + "?to=Bob@B%C3%BCro.example&to=c@d.example").json() == {
        "allowed": False,
        "detail": "Limit reached. See x",
        "limit": "mailbox_day",
        "used": 50,
        "maximum": 50,
        "frees_at": "2026-03-02T15:00:00Z",
    }
    assert asked == [("anna@acme.example.com", ["bob@xn--bro-hoa.example", "c@d.example"])]
    for query in ("?to=bob", "?to=%00@d.example", "?" + "&to=a@d.example" * 101):
        assert call("GET", path + query).status_code == 422, query
    assert len(asked) == 1
    monkeypatch.setattr(counters, "peek", lambda *_: counters.UNAVAILABLE)
    assert call("GET", path + "?to=c@d.example").status_code == 503
