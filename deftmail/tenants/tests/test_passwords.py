"""One action sets a password; a reset reaches only who may have it."""

from datetime import timedelta
from uuid import UUID

import pytest
import time_machine
from django.core import mail
from django.test import override_settings
from django.urls import reverse
from django.utils.timezone import now

from deftmail.kit.errors import Invalid
from deftmail.kit.mail import send_mail_to
from deftmail.kit.passwords import bare_hash, verify_password
from deftmail.kit.tenancy import tenant_tx
from deftmail.kit.testing import GOOD_PASSWORD, waiting_jobs
from deftmail.tenants import actions, hooks, tasks
from deftmail.tenants.models import Role, User
from deftmail.tenants.testing import audit_of, links_in, make_client, make_member, run_jobs, sign_in
from deftmail.tenants.tests.test_signup import without_secrets

pytestmark = pytest.mark.django_db
NEW = "copper lantern meadow fox"


@pytest.fixture
def mailbox_people(monkeypatch):
    """Ids of those who read their mail here."""
    people: set[UUID] = set()
    monkeypatch.setattr(hooks, "has_mailbox_hooks", [lambda user: user.pk in people])
    return people


def set_password(person, password=NEW, *, actor=None):
    with tenant_tx(person.tenant.pk):
        return actions.set_password(actor=actor or person.actor, user=person.user, password=password)


@override_settings(PASSWORD_HASHERS=["deftmail.kit.passwords.Bcrypt12Hasher"])
def test_the_real_hash_is_bcrypt_at_cost_12(cast):
    bare = set_password(cast.owner)
    assert bare.startswith("$2b$12$")
    assert len(bare) == 60
    stored = User.objects.get(pk=cast.owner.user.pk).password
    assert stored == "bcrypt$" + bare
    assert verify_password(NEW, bare)


def test_hooks_get_person_and_hash_in_the_same_transaction(cast, monkeypatch):
    seen = []
    monkeypatch.setattr(hooks, "password_changed_hooks", [lambda user, bare: seen.append((user, bare))])
    bare = set_password(cast.user, actor=cast.admin.actor)
    assert seen == [(cast.user.user, bare)]
    assert verify_password(NEW, bare)
    (row,) = audit_of(cast.acme, "password.changed")
    assert (row.actor, row.target, row.details["own"]) == (cast.admin.email, cast.user.email, False)
    assert NEW not in str(row.details)
    assert bare not in str(row.details)


def test_a_hook_that_fails_undoes_the_change(cast, monkeypatch):
    def fails(user, bare):
        raise Invalid("no")

    monkeypatch.setattr(hooks, "password_changed_hooks", [fails])
    with pytest.raises(Invalid):
        set_password(cast.user)
    assert bare_hash(User.objects.get(pk=cast.user.user.pk).password) != ""
    assert User.objects.get(pk=cast.user.user.pk).check_password(GOOD_PASSWORD)
    assert audit_of(cast.acme, "password.changed") == []


def test_a_weak_password_is_refused_by_the_action_itself(cast):
    for weak in ("short", "password1234", "é" * 37, "ursula acme"):
        with pytest.raises(Invalid) as refused:
            set_password(cast.user, weak)
        assert refused.value.field == "password"


def change(client, current, new):
    return client.post(reverse("account_change_password"), {"current": current, "password": new})


def test_changing_ones_password_ends_every_other_session(cast):
    second = make_client()
    sign_in(second, cast.user.email)
    answer = change(cast.user.client, GOOD_PASSWORD, NEW)
    assert (answer.status_code, answer["Location"]) == (303, reverse("tenants:account"))
    assert cast.user.client.get(reverse("tenants:account")).status_code == 200
    assert second.get(reverse("tenants:account")).status_code == 302
    assert sign_in(make_client(), cast.user.email, GOOD_PASSWORD).status_code == 422
    assert sign_in(make_client(), cast.user.email, NEW).status_code == 302
    run_jobs()
    assert [message.subject for message in mail.outbox] == ["Your password was changed"]
    assert mail.outbox[0].to == [cast.user.email]


def test_the_current_password_is_asked_and_its_failures_count(cast):
    answer = change(cast.user.client, "wrong", NEW)
    assert answer.status_code == 422
    assert "This is not your password" in answer.content.decode()
    statuses = [change(cast.user.client, "wrong", NEW).status_code for _ in range(12)]
    assert statuses[-1] == 429
    assert User.objects.get(pk=cast.user.user.pk).check_password(GOOD_PASSWORD)


def test_signing_out_every_other_browser(cast):
    second = make_client()
    sign_in(second, cast.user.email)
    assert cast.user.client.post(reverse("tenants:end_sessions")).status_code == 303
    assert cast.user.client.get(reverse("tenants:account")).status_code == 200
    assert second.get(reverse("tenants:account")).status_code == 302
    assert len(audit_of(cast.acme, "sessions.ended")) == 1


def ask_reset(address, client=None):
    return (client or make_client()).post(reverse("account_reset_password"), {"email": address})


def reset_link(message):
    (path,) = [path for path in links_in(message.body) if path.startswith("/password/reset/")]
    return path


def test_a_forgotten_password_is_reset_by_mail(cast, guest):
    assert ask_reset(cast.owner.email.upper()).status_code == 302
    assert mail.outbox == []
    run_jobs()
    (message,) = mail.outbox
    assert message.to == [cast.owner.email]
    page = guest.get(reset_link(message), follow=True)
    form_url = page.request["PATH_INFO"]
    assert "set-password" in form_url, "the key must not stand in the address of a page"
    weak = guest.post(form_url, {"password1": "password1234"})
    assert weak.status_code == 422
    assert "leaked" in weak.content.decode()
    assert guest.post(form_url, {"password1": NEW}).status_code == 302
    assert sign_in(make_client(), cast.owner.email, NEW).status_code == 302
    assert cast.owner.client.get(reverse("tenants:account")).status_code == 302, "sessions from before are over"
    (row,) = audit_of(cast.acme, "password.reset")
    assert str(row.ip_address).startswith("2001:db8:")
    assert make_client().get(reset_link(message), follow=True).status_code == 410


def test_a_reset_link_lives_two_hours(cast):
    ask_reset(cast.owner.email)
    run_jobs()
    with time_machine.travel(now() + timedelta(hours=2, minutes=1)):
        assert make_client().get(reset_link(mail.outbox[0]), follow=True).status_code == 410


def test_asking_for_a_reset_tells_nothing(cast):
    answers = []
    for address in (cast.owner.email, "nobody@acme-signup.example"):
        client = make_client()
        first = ask_reset(address, client)
        answers.append((first.status_code, first["Location"], without_secrets(client.get(first["Location"]))))
    assert answers[0] == answers[1]
    run_jobs()
    assert [message.to for message in mail.outbox] == [[cast.owner.email]]


def test_resets_of_one_address_are_limited_from_any_network(cast):
    statuses = [ask_reset("nobody@acme-signup.example").status_code for _ in range(5)]
    assert statuses[0] == 302
    assert statuses[-1] == 429


def test_a_mailbox_persons_link_goes_to_his_recovery_address(cast, mailbox_people):
    mailbox_people.add(cast.user.user.pk)
    User.objects.filter(pk=cast.user.user.pk).update(
        recovery_email="ursula@elsewhere.example", recovery_email_verified_at=now()
    )
    ask_reset(cast.user.email)
    run_jobs()
    assert [message.to for message in mail.outbox] == [["ursula@elsewhere.example"]]
    assert reset_link(mail.outbox[0])


@pytest.mark.parametrize("recovery", ["", "unproven@elsewhere.example"])
def test_without_a_proven_one_those_who_manage_him_are_asked(cast, mailbox_people, recovery):
    mailbox_people.update({cast.user.user.pk, cast.admin.user.pk})
    User.objects.filter(pk=cast.user.user.pk).update(recovery_email=recovery)
    ask_reset(cast.user.email)
    run_jobs()
    assert {message.to[0] for message in mail.outbox} == {cast.owner.email, cast.admin.email}
    assert not any("/password/reset/" in message.body for message in mail.outbox)
    page = reverse("tenants:member", args=[cast.user.user.membership.pk])
    assert all(page in message.body for message in mail.outbox)


def test_only_owners_are_asked_about_an_owner_and_nobody_about_himself(cast, mailbox_people):
    second = make_member(cast.acme, Role.OWNER, "second@acme-signup.example", sign_in=False)
    mailbox_people.add(cast.owner.user.pk)
    ask_reset(cast.owner.email)
    run_jobs()
    assert [message.to for message in mail.outbox] == [[second.email]]


def test_the_sole_owner_with_a_mailbox_and_no_recovery_address_gets_no_mail_to_it(cast, mailbox_people):
    mailbox_people.add(cast.stranger.user.pk)
    ask_reset(cast.stranger.email)
    run_jobs()
    assert mail.outbox == []


def test_a_notice_goes_to_the_recovery_address_too(cast):
    User.objects.filter(pk=cast.user.user.pk).update(
        recovery_email="ursula@elsewhere.example", recovery_email_verified_at=now()
    )
    set_password(cast.user, actor=cast.admin.actor)
    run_jobs()
    assert {message.to[0] for message in mail.outbox} == {cast.user.email, "ursula@elsewhere.example"}


@pytest.mark.parametrize("act", ["notice", "reset"])
def test_a_second_try_of_a_mail_repeats_none_that_was_sent(cast, mailbox_people, monkeypatch, act):
    """Postfix refuses the second address: the job that is tried again is that address's alone."""
    if act == "notice":
        User.objects.filter(pk=cast.user.user.pk).update(
            recovery_email="ursula@elsewhere.example", recovery_email_verified_at=now()
        )
        set_password(cast.user, actor=cast.admin.actor)
    else:
        mailbox_people.update({cast.user.user.pk, cast.admin.user.pk})
        ask_reset(cast.user.email)
        run_jobs(tasks.send_reset_mail)
    task = tasks.tell_person if act == "notice" else tasks.ask_admin
    refused: list[str] = []

    def flaky(to, name, context):
        if len(mail.outbox) == 1 and not refused:
            refused.append(to)
            raise OSError("no room")
        send_mail_to(to, name, context)

    monkeypatch.setattr(tasks, "send_mail_to", flaky)
    waiting = waiting_jobs(task)
    for job in [*waiting]:
        try:
            task(**job)
        except OSError:
            waiting.append(job)
    for job in waiting[2:]:
        task(**job)
    assert len(refused) == 1
    assert len(mail.outbox) == 2
    assert len({message.to[0] for message in mail.outbox}) == 2


@pytest.mark.django_db
def test_a_notice_that_waits_since_an_earlier_release_reaches_every_address(cast):
    waiting = {"tenant_id": str(cast.acme.pk), "user_id": str(cast.owner.user.pk), "mail": "email_changed"}
    tasks.tell_person(**waiting, also="old@acme.example")
    assert run_jobs(tasks.tell_person) == 2
    assert {message.to[0] for message in mail.outbox} == {cast.owner.email, "old@acme.example"}
