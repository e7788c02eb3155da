"""What an attacker, an unlucky person or two at once may try with people and pages of a company."""

from __future__ import annotations

import threading

import pytest
from django.db import connections
from django.test import Client
from django.urls import reverse

from deftmail.kit.errors import Forbidden
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants import actions
from deftmail.tenants.models import Membership, Role
from deftmail.tenants.testing import Cast, make_company, make_member, make_user, sign_in


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["tenants:people", "tenants:logs"])
@pytest.mark.parametrize("value", ["\0", "a\0b", "\ufffe", "%", "'", "\\", "x" * 5000])
def test_no_search_word_breaks_a_list(cast: Cast, name: str, value: str) -> None:
    assert cast.owner.client.get(reverse(name), {"q": value, "role": value}).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["\0", "AAAA", "é", "MDAwMS0wMS0wMVQwMDowMDowMCsxNDowMHww", "x" * 5000])
def test_no_cursor_breaks_the_log(cast: Cast, value: str) -> None:
    for way in ("older", "newer"):
        assert cast.owner.client.get(reverse("tenants:logs"), {way: value}).status_code == 422


@pytest.mark.django_db
def test_rights_are_those_of_this_moment_not_of_the_requests_start(cast: Cast) -> None:
    second = make_member(cast.acme, Role.OWNER)
    stale = second.actor  # read when his request began
    with tenant_tx(cast.acme.pk):
        member = Membership.objects.get(user=second.user)
        first = Membership.objects.get(user=cast.owner.user)
        actions.change_role(actor=cast.owner.actor, member_id=member.pk, role=Role.USER)
        with pytest.raises(Forbidden):
            actions.change_role(actor=stale, member_id=first.pk, role=Role.USER)


@pytest.mark.django_db(transaction=True, databases=["default", "system"])
def test_two_owners_who_demote_each_other_leave_one_owner() -> None:
    one = make_company("Duel", "one@duel.example")
    two = make_member(one.tenant, Role.OWNER, "two@duel.example")
    members = {each.user.pk: Membership.objects.get(user=each.user).pk for each in (one, two)}
    begin = threading.Barrier(2)

    def demote(actor: object, member_id: object) -> None:
        begin.wait()
        try:
            with tenant_tx(one.tenant.pk):
                actions.change_role(actor=actor, member_id=member_id, role=Role.USER)  # type: ignore[arg-type]
        except Forbidden:
            pass
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=demote, args=(one.actor, members[two.user.pk])),
        threading.Thread(target=demote, args=(two.actor, members[one.user.pk])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Membership.objects.filter(tenant=one.tenant, role=Role.OWNER).count() == 1


@pytest.mark.django_db
def test_a_session_that_was_planted_before_sign_in_is_not_the_one_after_it(guest: Client) -> None:
    user = make_user("rotate@example.com")
    guest.get(reverse("tenants:signup"))
    session = guest.session
    session["planted"] = 1
    session.save()
    planted = session.session_key
    guest.cookies.load({"dm_session": planted or ""})
    sign_in(guest, user.email)
    assert guest.cookies["dm_session"].value != planted
    assert Client().get("/account", headers={"cookie": f"dm_session={planted}"}).status_code == 302
