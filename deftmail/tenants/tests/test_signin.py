"""Signing in and out: who gets where, what a wrong password learns, and when the door stays shut."""

import secrets
import threading
import time

import bcrypt
import pytest
from django.contrib.auth.hashers import check_password
from django.db import OperationalError, connections
from django.test import RequestFactory
from django.urls import NoReverseMatch, reverse

from deftmail.kit import ratelimit
from deftmail.kit.errors import TooManyRequests
from deftmail.kit.passwords import verify_password
from deftmail.kit.testing import GOOD_PASSWORD
from deftmail.tenants import hooks, signin
from deftmail.tenants.displaced import displace
from deftmail.tenants.models import Role, User
from deftmail.tenants.testing import audit_of, make_client, make_company, make_member, sign_in
from deftmail.tenants.tests.test_signup import without_secrets

pytestmark = pytest.mark.django_db
LOGIN = "account_login"


def first_url(name):
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


@pytest.fixture
def hashes(monkeypatch):
    """Counts bcrypt comparisons."""
    done = []

    def counted(password, hashed):
        done.append(hashed[:7])
        return verify_password(password, hashed)

    monkeypatch.setattr(signin, "verify_password", counted)
    signin._nobody.cache_clear()
    return done


def test_the_page_is_there_for_everybody(guest):
    page = guest.get(reverse(LOGIN))
    assert page.status_code == 200
    assert reverse("account_reset_password") in page.content.decode()
    assert "no-store" in page["Cache-Control"] or "no-cache" in page["Cache-Control"]


@pytest.mark.parametrize("role", list(Role))
def test_each_role_lands_where_it_works(cast, role, guest):
    person = {Role.OWNER: cast.owner, Role.ADMIN: cast.admin, Role.USER: cast.user}[role]
    answer = sign_in(guest, person.email)
    assert answer.status_code == 302
    adapter_home = "webmail:index" if role == Role.USER else "web:overview"
    assert answer["Location"] == (first_url(adapter_home) or reverse("tenants:account"))
    (row,) = audit_of(cast.acme, "session.started")
    assert (row.actor, row.user_id) == (person.email, person.user.pk)
    assert str(row.ip_address).startswith("2001:db8:")


def test_a_new_session_begins_at_sign_in(cast, guest):
    guest.get(reverse(LOGIN))
    session = guest.session
    session["planted"] = "x"
    session.save()
    before = session.session_key
    guest.cookies["dm_session"] = before
    sign_in(guest, cast.owner.email)
    assert guest.session.session_key != before


@pytest.mark.parametrize(
    ("target", "followed"),
    [
        ("/logs", True),
        ("https://evil.example/", False),
        ("//evil.example/", False),
        ("javascript:alert(1)", False),
        ("https:///evil.example", False),
        ("/\\evil.example", False),
    ],
)
def test_next_leads_only_to_this_host(cast, guest, target, followed):
    answer = sign_in(guest, cast.owner.email, next=target)
    assert (answer["Location"] == target) is followed
    assert "evil" not in answer["Location"]


def test_wrong_and_unknown_and_lost_get_one_answer_and_cost_the_same(cast, hashes):
    answers = []
    passwords = ["not his password", "x" * 73, "é" * 40]
    displace(make_company("Gone", "sam@contested.example").user)
    for address in (cast.owner.email, "nobody@acme-signup.example", "sam@contested.example"):
        for password in passwords:
            del hashes[:]
            answer = sign_in(make_client(), address, password)
            assert hashes == ["$2b$04$"] * 2, (address, len(password))
            answers.append((answer.status_code, without_secrets(answer).replace(address, "ADDRESS")))
    assert {status for status, _ in answers} == {422}
    assert len({text for _, text in answers}) == 1
    assert "address or the password is wrong" in answers[0][1]


def test_what_is_no_address_is_an_error_of_its_field(guest):
    assert sign_in(guest, "kumar").status_code == 422


def test_an_account_is_shut_after_ten_failures_from_anywhere_before_any_hashing(cast, hashes):
    for _ in range(ratelimit.LIMITS["account_failures"].burst):
        assert sign_in(make_client(), cast.owner.email, "wrong").status_code == 422
    del hashes[:]
    answer = sign_in(make_client(), cast.owner.email, GOOD_PASSWORD)
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
    assert "Too many wrong passwords" in answer.content.decode()
    assert hashes == []
    assert sign_in(make_client(), cast.admin.email).status_code == 302, "others are not shut out"


def test_many_at_once_are_no_more_tries_than_one_after_another(cast, monkeypatch):
    """Each waits in its hash until all are there: who is counted only afterwards all get in."""
    burst = ratelimit.LIMITS["account_failures"].burst
    hashed: list[str] = []
    refused: list[int] = []
    everybody = threading.Event()

    def slow(password, hashed_password):
        hashed.append(password)
        everybody.wait(10)
        return False

    def settled():
        while len(hashed) + len(refused) < burst * 2:
            time.sleep(0.01)
        everybody.set()

    def attempt():
        request = RequestFactory().post("/signin")
        request.META["REMOTE_ADDR"] = f"2001:db8:{secrets.randbelow(0xFFFF):x}::1"
        try:
            signin.AccountAdapter(request).authenticate(request, email=cast.owner.email, password="wrong")
        except TooManyRequests:
            refused.append(1)

    monkeypatch.setattr(signin, "verify_password", slow)
    monkeypatch.setattr(User.objects, "filter", lambda **_: User.objects.none())
    threads = [threading.Thread(target=attempt) for _ in range(burst * 2)]
    for thread in [*threads, watcher := threading.Thread(target=settled)]:
        thread.start()
    for thread in [*threads, watcher]:
        thread.join()
    assert (len(hashed), len(refused)) == (2 * burst, burst), "two hashes a try"


@pytest.mark.django_db(transaction=True)
def test_no_connection_is_held_while_a_password_is_looked_at(cast, monkeypatch):
    held, check = [], bcrypt.checkpw

    def looked(*args):
        held.append([each.alias for each in connections.all(initialized_only=True) if each.connection is not None])
        return check(*args)

    monkeypatch.setattr(bcrypt, "checkpw", looked)
    assert sign_in(make_client(), cast.owner.email).status_code == 302
    change = {"current": cast.owner.password, "password": "copper lantern meadow fox"}
    assert cast.owner.client.post(reverse("account_change_password"), change).status_code == 303
    assert held == [[], []]


def test_an_outage_in_the_middle_is_nobodys_wrong_password(cast, monkeypatch):
    def away(*_):
        raise OperationalError

    with monkeypatch.context() as patched:
        patched.setattr(signin, "verify_password", away)
        for _ in range(ratelimit.LIMITS["account_failures"].burst + 2):
            assert sign_in(make_client(), cast.owner.email).status_code == 503
    assert sign_in(make_client(), cast.owner.email).status_code == 302


def test_an_unknown_address_is_shut_in_the_same_way(cast):
    for _ in range(ratelimit.LIMITS["account_failures"].burst):
        sign_in(make_client(), "nobody@acme-signup.example", "wrong")
    assert sign_in(make_client(), "nobody@acme-signup.example").status_code == 429


def test_a_network_is_shut_after_thirty_failures_on_any_account(cast, hashes, monkeypatch):
    # The limit of sign-in requests would come first.
    monkeypatch.setitem(ratelimit.LIMITS, "signin", ratelimit.Limit("signin", 6000, 60, 1000, guard=True))
    client = make_client()
    for number in range(ratelimit.LIMITS["address_failures"].burst):
        sign_in(client, f"guess{number}@acme-signup.example", "wrong")
    del hashes[:]
    assert sign_in(client, cast.owner.email).status_code == 429
    assert hashes == []
    assert sign_in(make_client(), cast.owner.email).status_code == 302


def test_right_passwords_are_not_charged(cast):
    for _ in range(ratelimit.LIMITS["account_failures"].burst + 2):
        assert sign_in(make_client(), cast.owner.email).status_code == 302


def test_requests_to_sign_in_are_limited_too_also_without_redis(guest):
    statuses = [sign_in(guest, f"a{n}@acme-signup.example", "x").status_code for n in range(12)]
    assert statuses[-1] == 429


def test_another_room_may_keep_somebody_out(cast, guest, monkeypatch):
    def disabled(user):
        return "This mailbox is disabled." if user.pk == cast.user.user.pk else None

    monkeypatch.setattr(hooks, "may_sign_in_hooks", [disabled])
    answer = sign_in(guest, cast.user.email)
    assert answer.status_code == 403
    assert "This mailbox is disabled." in answer.content.decode()
    assert "_auth_user_id" not in guest.session
    assert sign_in(make_client(), cast.user.email, "wrong").status_code == 422, "only the right password learns why"
    assert sign_in(make_client(), cast.owner.email).status_code == 302


def test_a_closed_account_stays_out_and_its_session_ends(cast, guest):
    User.objects.filter(pk=cast.user.user.pk).update(is_active=False)
    assert sign_in(guest, cast.user.email).status_code == 403
    assert cast.user.client.get(reverse("tenants:account")).status_code == 302


def test_sign_out_needs_a_post(cast):
    client = cast.owner.client
    assert client.get(reverse("account_logout")).status_code == 200
    assert client.get(reverse("tenants:account")).status_code == 200
    assert client.post(reverse("account_logout")).status_code == 302
    assert client.get(reverse("tenants:account")).status_code == 302


def test_a_page_sends_a_guest_to_sign_in_and_back(cast, guest):
    answer = guest.get(reverse("tenants:logs") + "?q=x")
    assert answer["Location"] == reverse(LOGIN) + "?next=/logs%3Fq%3Dx"
    page = guest.get(answer["Location"])
    assert 'name="next" value="/logs?q=x"' in page.content.decode()


def test_who_is_signed_in_needs_no_sign_in_page(cast):
    assert cast.owner.client.get(reverse(LOGIN)).status_code == 302


def test_a_displaced_person_signs_in_as_before_and_is_asked_for_another_address(guest):
    owner = make_company("Gone", "sam@contested.example")
    displace(owner.user)
    holder = make_member(make_company("Holder").tenant, Role.USER, "sam@contested.example", sign_in=False)
    holder.user.set_password("quite another password")
    holder.user.save()
    answer = sign_in(guest, "sam@contested.example")
    assert answer["Location"] == reverse("tenants:account")
    page = guest.get(answer["Location"]).content.decode()
    assert "Choose another sign-in address" in page
    assert ".invalid" not in page
    other = make_client()
    sign_in(other, "sam@contested.example", "quite another password")
    assert other.session["_auth_user_id"] == str(holder.user.pk)


def test_pages_allauth_would_bring_along_do_not_exist(guest):
    for path in ("/account/signup/", "/account/email/", "/signup/", "/account/login/code/"):
        assert guest.get(path).status_code == 404


def test_the_cheap_hash_of_the_suite_is_the_products_form(cast):
    assert cast.owner.user.password.startswith("bcrypt$$2b$04$")
    assert check_password(GOOD_PASSWORD, cast.owner.user.password)
