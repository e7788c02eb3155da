"""A person's own account: profile, recovery address, sign-in address."""

from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.urls import reverse
from django.utils.timezone import now

from deftmail.kit.tenancy import tenant_tx
from deftmail.kit.testing import GOOD_PASSWORD
from deftmail.tenants import hooks
from deftmail.tenants.displaced import displace
from deftmail.tenants.models import Role, Tenant, User
from deftmail.tenants.testing import audit_of, links_in, make_client, make_company, make_user, run_jobs, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def fresh(cast):
    """The owner's browser just after he typed his password."""
    client = make_client()
    sign_in(client, cast.owner.email)
    return client


def confirm_path():
    (path,) = [path for path in links_in(str(mail.outbox[-1].body)) if path.startswith("/account/address/")]
    return path


def now_row(user):
    return User.objects.get(pk=user.pk)


@pytest.mark.parametrize("role", list(Role))
def test_everybody_has_an_account_page(cast, role):
    person = {Role.OWNER: cast.owner, Role.ADMIN: cast.admin, Role.USER: cast.user}[role]
    page = person.client.get(reverse("tenants:account"))
    assert page.status_code == 200
    text = page.content.decode()
    assert person.email in text
    assert (reverse("tenants:people") in text) is (role != Role.USER), "a user sees no entries he may not open"
    assert ("Back to mail" in text) is (role == Role.USER)


def test_name_and_time_zone(cast):
    answer = cast.user.client.post(reverse("tenants:account"), {"name": " Ursula  B. ", "timezone": "Asia/Kolkata"})
    assert answer.status_code == 303
    user = now_row(cast.user.user)
    assert (user.name, user.timezone) == ("Ursula B.", "Asia/Kolkata")
    (row,) = audit_of(cast.acme, "person.profile_changed")
    assert row.details["before"]["timezone"] == "UTC"
    assert row.details["after"] == {"name": "Ursula B.", "timezone": "Asia/Kolkata"}


@pytest.mark.parametrize("form", [{"name": "", "timezone": "UTC"}, {"name": "U", "timezone": "Mars/Base"}])
def test_a_bad_profile_is_refused_on_the_page(cast, form):
    answer = cast.user.client.post(reverse("tenants:account"), form)
    assert answer.status_code == 422
    assert audit_of(cast.acme, "person.profile_changed") == []


def test_the_browser_names_the_zone_until_he_chooses_one(cast, guest):
    user = cast.user.user
    assert "data-timezone" in guest.get(reverse("account_login")).content.decode()

    def after_sign_in(zone):
        sign_in(make_client(), user.email, timezone=zone)
        return now_row(user).timezone

    assert after_sign_in("Europe/Berlin") == "Europe/Berlin"
    assert after_sign_in("America/New_York") == "America/New_York", "he travels"
    for nonsense in ("", "Mars/Base", "../../etc/passwd", "x" * 200):
        assert after_sign_in(nonsense) == "America/New_York"
    cast.user.client.post(reverse("tenants:account"), {"name": "Ursula", "timezone": "America/New_York"})
    assert after_sign_in("Asia/Tokyo") == "Asia/Tokyo", "a new name is no choice of a zone"
    cast.user.client.post(reverse("tenants:account"), {"name": "Ursula", "timezone": "UTC"})
    assert after_sign_in("Asia/Tokyo") == "UTC"


def test_times_are_shown_in_his_zone(cast):
    User.objects.filter(pk=cast.owner.user.pk).update(timezone="Asia/Kolkata")
    cast.owner.client.post(reverse("tenants:settings"), {"company_name": "Acme Two"})
    assert "+05:30" in cast.owner.client.get(reverse("tenants:logs")).content.decode()


def test_a_recovery_address_counts_once_its_link_was_used(cast, fresh):
    answer = fresh.post(reverse("tenants:recovery"), {"recovery_email": "Olive@Home.example"})
    assert answer.status_code == 303
    user = now_row(cast.owner.user)
    assert (user.recovery_email, user.recovery_pending) == ("", "olive@home.example")
    assert "olive@home.example" in fresh.get(reverse("tenants:account")).content.decode()
    run_jobs()
    assert mail.outbox[0].to == ["olive@home.example"]
    path, elsewhere = confirm_path(), make_client()
    assert "olive@home.example" in elsewhere.get(path).content.decode()
    assert now_row(cast.owner.user).recovery_email == "", "following the link alone must change nothing"
    assert elsewhere.post(path).status_code == 303
    user = now_row(cast.owner.user)
    assert (user.recovery_email, user.recovery_pending) == ("olive@home.example", "")
    assert user.recovery_email_verified_at is not None
    assert elsewhere.post(path).status_code == 410
    (row,) = audit_of(cast.acme, "person.recovery_changed")
    assert row.details["after"] == {"recovery_email": "olive@home.example"}


def test_the_old_one_serves_until_then_and_is_told(cast, fresh):
    User.objects.filter(pk=cast.owner.user.pk).update(
        recovery_email="old@home.example", recovery_email_verified_at=now()
    )
    fresh.post(reverse("tenants:recovery"), {"recovery_email": "new@home.example"})
    assert now_row(cast.owner.user).recovery_email == "old@home.example"
    run_jobs()
    make_client().post(confirm_path())
    run_jobs()
    assert {message.to[0] for message in mail.outbox[1:]} == {cast.owner.email, "new@home.example", "old@home.example"}


def test_a_link_dies_with_its_day_with_another_wish_and_when_withdrawn(cast, fresh):
    fresh.post(reverse("tenants:recovery"), {"recovery_email": "one@home.example"})
    run_jobs()
    first = confirm_path()
    with time_machine.travel(now() + timedelta(hours=25)):
        assert make_client().get(first).status_code == 410
    fresh.post(reverse("tenants:recovery"), {"recovery_email": "two@home.example"})
    run_jobs()
    assert make_client().post(first).status_code == 410
    second = confirm_path()
    assert fresh.post(reverse("tenants:forget_pending", args=["recovery"])).status_code == 303
    assert len(audit_of(cast.owner.tenant, "person.recovery_withdrawn")) == 1
    assert make_client().post(second).status_code == 410
    assert make_client().get(second + "x").status_code == 410


def test_a_recovery_address_lies_outside_the_company(cast, fresh, monkeypatch):
    monkeypatch.setattr(hooks, "hosts_domain_hooks", [lambda tenant_id, domain: domain == "acme.test"])
    for address, sentence in (
        ("somebody@acme.test", "outside your company"),
        (cast.owner.email, "you sign in with"),
        ("no address", "name@example.com"),
    ):
        answer = fresh.post(reverse("tenants:recovery"), {"recovery_email": address})
        assert answer.status_code == 422
        assert sentence in answer.content.decode()
    assert now_row(cast.owner.user).recovery_pending == ""


def test_none_at_all_is_possible(cast, fresh):
    User.objects.filter(pk=cast.owner.user.pk).update(
        recovery_email="old@home.example", recovery_email_verified_at=now()
    )
    assert fresh.post(reverse("tenants:recovery"), {"recovery_email": ""}).status_code == 303
    user = now_row(cast.owner.user)
    assert (user.recovery_email, user.recovery_email_verified_at) == ("", None)
    assert len(audit_of(cast.acme, "person.recovery_removed")) == 1


@pytest.mark.parametrize("name", ["tenants:recovery", "tenants:email"])
def test_what_opens_the_account_asks_for_the_password_again(cast, name):
    """A browser left open (here: signed in without ever typing a password) gets no further than its owner's absence."""
    client = cast.owner.client
    form = {"recovery_email": "thief@home.example", "email": "thief@home.example"}
    answer = client.post(reverse(name), form)
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("account_reauthenticate"))
    user = now_row(cast.owner.user)
    assert (user.recovery_pending, user.email_pending) == ("", "")
    wrong = client.post(answer["Location"], {"password": "guess"})
    assert wrong.status_code == 422
    right = client.post(answer["Location"], {"password": GOOD_PASSWORD})
    assert right.status_code in (302, 303), "the act that was stopped goes on"
    assert "thief@home.example" in (now_row(cast.owner.user).recovery_pending, now_row(cast.owner.user).email_pending)


def test_guessing_the_password_there_is_limited(cast):
    statuses = [
        cast.owner.client.post(reverse("account_reauthenticate"), {"password": "guess"}).status_code for _ in range(12)
    ]
    assert statuses[-1] == 429


def test_an_owner_moves_to_another_sign_in_address(cast, fresh):
    fresh.post(reverse("tenants:email"), {"email": "olive@new.example"})
    assert now_row(cast.owner.user).email == cast.owner.email
    run_jobs()
    assert fresh.post(confirm_path()).status_code == 303
    assert now_row(cast.owner.user).email == "olive@new.example"
    with tenant_tx(cast.acme.pk):
        assert Tenant.objects.get().owner_email == "olive@new.example"
    assert sign_in(make_client(), "olive@new.example").status_code == 302
    assert sign_in(make_client(), cast.owner.email).status_code == 422
    run_jobs()
    assert {message.to[0] for message in mail.outbox[1:]} == {"olive@new.example", cast.owner.email}


def test_an_address_somebody_has_is_refused_only_to_who_proved_it(cast, fresh):
    make_user("taken@elsewhere.example")
    assert fresh.post(reverse("tenants:email"), {"email": "taken@elsewhere.example"}).status_code == 303
    run_jobs()
    answer = make_client().post(confirm_path())
    assert answer.status_code == 409
    assert now_row(cast.owner.user).email == cast.owner.email


def test_a_mailbox_persons_address_is_fixed(cast, fresh, monkeypatch):
    fresh.post(reverse("tenants:email"), {"email": "before@new.example"})
    run_jobs()
    monkeypatch.setattr(hooks, "has_mailbox_hooks", [lambda user: True])
    answer = fresh.post(reverse("tenants:email"), {"email": "olive@new.example"})
    assert answer.status_code == 409
    assert "cannot be changed" in answer.content.decode()
    assert reverse("tenants:email") not in fresh.get(reverse("tenants:account")).content.decode()
    assert make_client().post(confirm_path()).status_code == 409, "nor by a link from before he had one"


def test_a_displaced_person_chooses_another_address(guest):
    owner = make_company("Gone", "sam@contested.example")
    displace(owner.user)
    sign_in(guest, "sam@contested.example")
    guest.post(reverse("tenants:email"), {"email": "sam@free.example"})
    run_jobs()
    assert guest.post(confirm_path()).status_code == 303
    user = now_row(owner.user)
    assert (user.email, user.former_email) == ("sam@free.example", "")
    run_jobs()
    assert {message.to[0] for message in mail.outbox} == {"sam@free.example"}, "nothing to the address he lost"
