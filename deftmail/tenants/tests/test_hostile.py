"""What an attacker, an unlucky person or two at once may try with people and pages of a company."""

from __future__ import annotations

import base64
import threading
from urllib.parse import quote

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core import mail
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from deftmail.kit import ratelimit
from deftmail.kit.errors import Forbidden
from deftmail.kit.tenancy import tenant_tx
from deftmail.kit.testing import GOOD_PASSWORD
from deftmail.tenants import actions, hooks, tasks
from deftmail.tenants.actions.signup import token_of
from deftmail.tenants.knownbrowser import COOKIE
from deftmail.tenants.models import Membership, Role, User
from deftmail.tenants.testing import Cast, make_client, make_company, make_member, make_user, sign_in


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


@pytest.mark.django_db
def test_no_cache_keeps_a_signed_in_page(cast: Cast) -> None:
    for name in ("tenants:account", "tenants:logs", "tenants:people", "web:overview", "domains:list", "mailboxes:list"):
        assert "no-store" in cast.owner.client.get(reverse(name)).headers["Cache-Control"], name


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "headers", "back"),
    [
        ("get", {}, "/settings"),
        ("post", {"Referer": "http://testserver/settings?x=1"}, "/settings?x=1"),
        ("post", {"Referer": "https://evil.example/settings"}, None),
        ("post", {}, None),
        ("get", {"HX-Request": "true", "HX-Current-URL": "http://testserver/mail/f/inbox"}, "/mail/f/inbox"),
        ("get", {"HX-Request": "true", "HX-Current-URL": "https://evil.example/"}, None),
    ],
)
def test_after_sign_in_one_is_back_on_the_page_one_was_on(
    guest: Client, method: str, headers: dict[str, str], back: str | None
) -> None:
    answer = getattr(guest, method)("/settings", headers=headers)
    target = answer.headers.get("Location") or answer.headers["HX-Redirect"]
    assert target == "/signin" + (f"?next={quote(back)}" if back else "")


@pytest.mark.django_db
def test_who_guesses_at_an_account_does_not_keep_its_person_out(cast: Cast) -> None:
    his = make_client()
    assert sign_in(his, cast.owner.email).status_code == 302
    his.post(reverse("account_logout"))
    burst = ratelimit.LIMITS["account_failures"].burst
    for _ in range(burst):
        assert sign_in(make_client(), cast.owner.email, "wrong password").status_code == 422
    assert sign_in(make_client(), cast.owner.email).status_code == 429
    assert sign_in(his, cast.owner.email).status_code == 302
    # His browser is no way round the limit: its own is as small, a forged or another's cookie counts nothing.
    his.post(reverse("account_logout"))
    his.defaults["REMOTE_ADDR"] = "2001:db8:1::1"
    thief = make_client()
    thief.cookies.load({COOKIE: his.cookies[COOKIE].value})
    for _ in range(burst):
        sign_in(thief, cast.owner.email, "wrong password")
    assert sign_in(thief, cast.owner.email).status_code == 429
    for value in ("", "x", his.cookies[COOKIE].value[:-2] + "zz"):
        forged = make_client()
        forged.cookies.load({COOKIE: value})
        assert sign_in(forged, cast.owner.email).status_code == 429
    content = his.cookies[COOKIE].value.split(":")[0]
    assert cast.owner.email not in base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)).decode()
    other = make_client()
    other.cookies.load({COOKIE: his.cookies[COOKIE].value})
    assert sign_in(other, cast.stranger.email).status_code == 302


@pytest.mark.django_db
def test_sessions_that_are_over_are_forgotten(cast: Cast) -> None:
    living = Session.objects.count()
    over = SessionStore()
    over.set_expiry(-1)
    over["x"] = 1
    over.save()
    tasks.forget_expired()
    assert not Session.objects.filter(session_key=over.session_key).exists()
    assert Session.objects.count() == living > 0


@pytest.mark.django_db
def test_a_reset_link_never_goes_to_an_address_that_the_company_hosts_by_now(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an admin makes the mailbox of the owner's recovery address, asks for a reset, and is the owner."""
    User.objects.filter(pk=cast.owner.user.pk).update(
        recovery_email="olive@acme.example", recovery_email_verified_at=now()
    )
    monkeypatch.setattr(hooks, "has_mailbox_hooks", [lambda user: user.pk == cast.owner.user.pk])
    monkeypatch.setattr(hooks, "hosts_domain_hooks", [lambda _tenant, domain: domain == "acme.example"])
    tasks.send_reset_mail(email=cast.owner.user.email)
    assert [message.to for message in mail.outbox] == []
    monkeypatch.setattr(hooks, "hosts_domain_hooks", [])
    tasks.send_reset_mail(email=cast.owner.user.email)
    assert [message.to for message in mail.outbox] == [["olive@acme.example"]]


@pytest.mark.django_db(transaction=True, databases=["default", "system"])
def test_two_links_to_one_address_used_at_once_make_one_company() -> None:
    for round_ in range(3):
        address, network = f"twice{round_}@example.com", make_client().defaults["REMOTE_ADDR"]
        pendings = [
            actions.begin_signup(
                company_name="Twice", name="T", email=address, password=GOOD_PASSWORD, accepted=True, ip=network
            )
            for _ in range(2)
        ]
        begin = threading.Barrier(2)
        outcomes: list[str] = []

        def use(token: str, begin: threading.Barrier = begin, outcomes: list[str] = outcomes) -> None:
            begin.wait()
            try:
                actions.complete_signup(token=token, ip=None)
                outcomes.append("made")
            except Exception as error:
                outcomes.append(type(error).__name__)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=use, args=(token_of(pending.pk),)) for pending in pendings]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["LinkExpired", "made"]
        assert User.objects.filter(email=address).count() == 1


@pytest.mark.django_db
def test_forms_without_their_token_are_counted_too() -> None:
    browser = make_client(enforce_csrf_checks=True)
    burst = ratelimit.LIMITS["signin"].burst
    statuses = [browser.post(reverse("account_login"), {"login": "x"}).status_code for _ in range(burst + 1)]
    assert statuses == [403] * burst + [429]
