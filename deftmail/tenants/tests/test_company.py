"""Company pages: settings, people, keys, logs; and what another company's people see of them."""

import re

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from deftmail.kit.conf import conf
from deftmail.kit.errors import Forbidden, Invalid
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants import actions, audit, selectors
from deftmail.tenants.actions.company import tidy_name
from deftmail.tenants.errors import CompanySuspended
from deftmail.tenants.models import Membership, Role, Tenant, User
from deftmail.tenants.testing import audit_of, make_member, set_columns

pytestmark = pytest.mark.django_db

PAGES = ["tenants:settings", "tenants:apikeys", "tenants:people", "tenants:logs"]


@pytest.mark.parametrize("name", PAGES)
def test_console_pages_are_for_owners_and_admins(cast, guest, name):
    for person in (cast.owner, cast.admin):
        page = person.client.get(reverse(name))
        assert page.status_code == 200
        assert "Acme" in page.content.decode()
    assert cast.user.client.get(reverse(name)).status_code == 403
    assert guest.get(reverse(name)).status_code == 302


def test_renaming_the_company_is_written_down(cast):
    answer = cast.admin.client.post(reverse("tenants:settings"), {"company_name": "  Acme  & Sons "})
    assert answer.status_code == 303
    with tenant_tx(cast.acme.pk):
        assert Tenant.objects.get().company_name == "Acme & Sons"
    (row,) = audit_of(cast.acme, "company.renamed")
    assert (row.details["before"], row.details["after"]) == ({"company_name": "Acme"}, {"company_name": "Acme & Sons"})
    assert (row.actor, row.target_id) == (cast.admin.email, cast.acme.pk)
    assert "Acme &amp; Sons" in cast.owner.client.get(reverse("tenants:settings")).content.decode()


def test_the_plan_names_whom_to_write_to_for_another(cast):
    page = cast.owner.client.get(reverse("tenants:settings")).content.decode()
    assert f'To change your plan, write to <a href="mailto:{conf.support_email}">' in page


def test_the_tabs_of_the_settings_stand_in_one_place(cast):
    def frame(name):
        page = cast.owner.client.get(reverse(name)).content.decode()
        return re.findall(r'data-width="\w+"|<h1>.*</h1>|<p class="lead">.*?</p>', page)

    assert frame("tenants:settings") == frame("tenants:apikeys")


def test_an_empty_name_is_refused(cast):
    assert cast.owner.client.post(reverse("tenants:settings"), {"company_name": "   "}).status_code == 422
    assert audit_of(cast.acme, "company.renamed") == []


def test_a_suspended_company_reads_but_changes_nothing(cast):
    set_columns(cast.acme, status=Tenant.Status.SUSPENDED)
    assert cast.owner.client.get(reverse("tenants:settings")).status_code == 200
    answer = cast.owner.client.post(reverse("tenants:settings"), {"company_name": "New"})
    assert answer.status_code == 403
    assert "suspended" in answer.content.decode()
    with tenant_tx(cast.acme.pk), pytest.raises(CompanySuspended):
        actions.change_role(
            actor=cast.owner.actor, member_id=Membership.objects.get(user=cast.user.user).pk, role=Role.ADMIN
        )


def test_people_are_listed_searched_and_filtered(cast):
    def names(**query):
        page = cast.owner.client.get(reverse("tenants:people"), query)
        return [member.user.email for member in page.context["page"]]

    assert names() == [cast.owner.email, cast.admin.email, cast.user.email]
    assert names(q="ADAM") == [cast.admin.email]
    assert names(role="user") == [cast.user.email]
    assert names(q="stan") == []
    assert names(role="god", page="99") == [cast.owner.email, cast.admin.email, cast.user.email]


def queries(client, url):
    with CaptureQueriesContext(connection) as found:
        assert client.get(url).status_code == 200
    return len(found)


def test_lists_ask_the_database_as_often_for_many_rows(cast):
    people, logs = reverse("tenants:people"), reverse("tenants:logs")
    few = queries(cast.owner.client, people), queries(cast.owner.client, logs)
    for _ in range(30):
        make_member(cast.acme, Role.USER, sign_in=False)
    with tenant_tx(cast.acme.pk):
        for number in range(40):
            audit.record(cast.admin.actor, "thing.done", cast.acme, number=number)
    many = queries(cast.owner.client, people), queries(cast.owner.client, logs)
    assert many == few
    assert max(many) <= 16


def test_an_admin_sees_an_owner_but_may_not_touch_him(cast):
    owner = reverse("tenants:member", args=[cast.owner.user.membership.pk])
    user = reverse("tenants:member", args=[cast.user.user.membership.pk])
    page = cast.admin.client.get(owner)
    assert page.status_code == 200
    assert "Save role" not in page.content.decode()
    assert "Save role" in cast.admin.client.get(user).content.decode()
    assert cast.admin.client.post(owner, {"role": "owner"}).status_code == 403
    assert cast.admin.client.post(owner + "/signout").status_code == 403
    assert cast.admin.client.post(user, {"role": "owner"}).status_code == 422, "not even offered"
    assert cast.admin.client.post(user, {"role": "admin"}).status_code == 303
    (row,) = audit_of(cast.acme, "person.role_changed")
    assert (row.details["before"], row.details["after"]) == ({"role": "user"}, {"role": "admin"})


def test_signing_somebody_out_everywhere(cast):
    url = reverse("tenants:member_sign_out", args=[cast.user.user.membership.pk])
    assert cast.user.client.get(reverse("tenants:account")).status_code == 200
    assert cast.owner.client.post(url).status_code == 303
    assert cast.user.client.get(reverse("tenants:account")).status_code == 302


def test_the_log_tells_who_what_from_where_and_what_changed(cast):
    cast.admin.client.post(reverse("tenants:settings"), {"company_name": "Acme Two"})
    page = cast.owner.client.get(reverse("tenants:logs")).content.decode()
    for part in ("Company renamed", "Acme → Acme Two", cast.admin.email, "2001:db8:"):
        assert part in page


def test_the_log_is_searched_by_act_object_and_person(cast):
    with tenant_tx(cast.acme.pk):
        audit.record(cast.owner.actor, "session.started")
        audit.record(cast.owner.actor, "domain.added", cast.acme)
        audit.record(cast.admin.actor, "mailbox.deleted", cast.owner.user)
    for search, expected in (
        ("domain added", ["domain.added"]),
        ("mailbox.del", ["mailbox.deleted"]),
        ("signed in", ["session.started"]),
        ("adam@", ["mailbox.deleted"]),
        ("acme-signup", ["mailbox.deleted", "domain.added", "session.started"]),
        ("100%", []),
    ):
        with tenant_tx(cast.acme.pk):
            assert [row.action for row in selectors.logs(cast.owner.actor, search=search).rows] == expected


def test_the_log_is_narrowed_to_days_of_the_readers_zone(cast):
    User.objects.filter(pk=cast.owner.user.pk).update(timezone="Asia/Kolkata")
    with tenant_tx(cast.acme.pk):
        for number, moment in enumerate(("2026-03-01T18:29Z", "2026-03-01T18:31Z", "2026-03-02T18:29Z")):
            with time_machine.travel(moment):
                audit.record(cast.owner.actor, f"act.{number}")

    def shown(**query):
        page = cast.owner.client.get(reverse("tenants:logs"), query)
        assert page.status_code == 200
        return [line.row.action for line in page.context["lines"] if line.row.action.startswith("act")]

    assert shown(**{"from": "2026-03-02", "to": "2026-03-02"}) == ["act.2", "act.1"]
    assert shown(to="2026-03-01") == ["act.0"]
    assert shown(**{"from": "2026-03-03"}) == []
    for nonsense in ("2026-02-31", "9999-12-31", "0001-01-01", "x"):
        assert shown(**{"from": nonsense, "to": nonsense}) == ["act.2", "act.1", "act.0"]


def test_the_log_is_paged_both_ways_without_losing_or_repeating_a_row(cast):
    with tenant_tx(cast.acme.pk):
        for number in range(25):
            audit.record(cast.owner.actor, f"act.{number}")
        actor, seen, cursor = cast.owner.actor, [], ""
        while True:
            page = selectors.logs(actor, older=cursor, limit=7)
            seen += [row.action for row in page.rows]
            if not page.older:
                break
            cursor = page.older
        assert seen == [f"act.{number}" for number in reversed(range(25))]
        back = [row.action for row in page.rows]
        while page.newer:
            page = selectors.logs(actor, newer=page.newer, limit=7)
            back = [row.action for row in page.rows] + back
        assert back == seen


def test_a_cursor_that_is_none_is_refused_politely(cast):
    assert cast.owner.client.get(reverse("tenants:logs"), {"older": "%%%"}).status_code == 422


def test_the_stranger_finds_nothing(cast):
    with tenant_tx(cast.acme.pk):
        key, _raw = actions.create_api_key(actor=cast.owner.actor, name="Robot", scopes=["domains:read"])
        audit.record(cast.owner.actor, "secret.act", cast.user.user)
    client = cast.stranger.client
    member = cast.user.user.membership.pk
    for url in (
        reverse("tenants:member", args=[member]),
        reverse("tenants:apikey_revoke", args=[key.pk]),
    ):
        assert client.get(url).status_code == 404
        assert client.post(url, {"role": "owner", "confirm": "Robot"}).status_code == 404
    assert client.post(reverse("tenants:member_sign_out", args=[member])).status_code == 404
    for name in PAGES:
        text = client.get(reverse(name)).content.decode()
        for theirs in ("Acme", "Robot", "secret.act", "Secret act", cast.user.email):
            assert theirs not in text
    assert mail.outbox == []


def test_a_user_role_reads_no_log_by_any_door(cast):
    with tenant_tx(cast.acme.pk), pytest.raises(Forbidden):
        selectors.logs(cast.user.actor)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Kumar \t Textiles\r\nBcc: x", "Kumar Textiles Bcc: x"),
        ("علی\u200cرضا", "علی\u200cرضا"),  # a Persian name is written with a joiner
        ("👩\u200d🌾 & <b>", "👩\u200d🌾 & <b>"),
        ("Acme \u202egnp", "Acme gnp"),
        ("x" * 255, "x" * 255),
    ],
)
def test_a_name_is_kept_on_one_line_with_what_scripts_need(typed, kept):
    assert tidy_name(typed) == kept


@pytest.mark.parametrize("typed", ["", " \n", "\u200b", "\u202e", "x" * 256])
def test_what_is_no_name_is_told_so(typed):
    with pytest.raises(Invalid, match="at most 255 characters") as refusal:
        tidy_name(typed, field="name")
    assert refusal.value.field == "name"
