"""Name, size, state, password and deletion: who may, what follows, what is written down."""

from __future__ import annotations

import pytest
from django.contrib.auth.hashers import check_password

from deftmail.domains.actions import delete_domain
from deftmail.domains.errors import DomainHoldsAddresses
from deftmail.domains.testing import make_domain
from deftmail.engine.errors import EngineRefused, EngineUnavailable
from deftmail.kit.errors import Forbidden, Invalid, NotFound
from deftmail.kit.passwords import bare_hash, verify_password
from deftmail.kit.tenancy import tenant_tx
from deftmail.kit.testing import GOOD_PASSWORD, waiting_jobs
from deftmail.mailboxes import errors, hooks, tasks
from deftmail.mailboxes.actions import (
    change_mailbox,
    create_mailbox,
    delete_mailbox,
    record_sign_in,
    record_usage,
    retry_sync,
    set_mailbox_password,
    set_status,
)
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.testing import make_mailbox, make_mailbox_person, reload
from deftmail.tenants.actions.passwords import set_password
from deftmail.tenants.actor import Actor
from deftmail.tenants.errors import CompanySuspended
from deftmail.tenants.models import Role, Tenant, User
from deftmail.tenants.testing import audit_of, make_client, make_member, set_columns, sign_in

pytestmark = pytest.mark.django_db
NEW_PASSWORD = "tin harbour velvet moss"


@pytest.fixture
def domain(cast):
    return make_domain(cast.acme, "acme.test", active=True)


@pytest.fixture
def alice(cast, domain):
    return make_mailbox_person(cast.acme, domain, "alice")[1]


@pytest.fixture
def owners(cast, domain):
    """The owner's own mailbox, joined to his user."""
    return make_mailbox(domain, "olive", person=cast.owner.user)


@pytest.fixture
def key(cast):
    return Actor.key(cast.acme.pk, "provisioning", ["mailboxes:write"], ip=None)


class TestNameAndSize:
    def test_only_what_is_given_changes(self, cast, alice):
        change_mailbox(actor=cast.admin.actor, mailbox_id=alice.pk, display_name="Alice A.")
        assert (reload(alice).display_name, reload(alice).quota_mb) == ("Alice A.", 1024)
        change_mailbox(actor=cast.admin.actor, mailbox_id=alice.pk, quota_mb=2048)
        assert (reload(alice).display_name, reload(alice).quota_mb) == ("Alice A.", 2048)

    def test_the_person_is_known_by_the_new_name(self, cast, alice):
        change_mailbox(actor=cast.admin.actor, mailbox_id=alice.pk, display_name="Alice A.")
        assert User.objects.get(pk=alice.user_id).name == "Alice A."

    def test_an_owner_keeps_a_name_of_his_own(self, cast, owners):
        change_mailbox(actor=cast.owner.actor, mailbox_id=owners.pk, display_name="The boss")
        assert User.objects.get(pk=cast.owner.user.pk).name == cast.owner.user.name

    def test_before_and_after_are_logged_and_the_engine_is_told(self, cast, alice):
        change_mailbox(actor=cast.admin.actor, mailbox_id=alice.pk, quota_mb=2048)
        (row,) = audit_of(cast.acme, "mailbox.changed")
        assert (row.details["before"]["quota_mb"], row.details["after"]["quota_mb"]) == (1024, 2048)
        assert reload(alice).sync_state == "pending"
        assert len(waiting_jobs(tasks.sync_mailbox)) == 1

    def test_no_change_is_no_act(self, cast, alice):
        change_mailbox(actor=cast.admin.actor, mailbox_id=alice.pk, quota_mb=1024)
        assert not audit_of(cast.acme, "mailbox.changed")
        assert not waiting_jobs(tasks.sync_mailbox)

    def test_never_over_the_plan(self, cast, alice):
        with pytest.raises(errors.QuotaInvalid):
            change_mailbox(actor=cast.admin.actor, mailbox_id=alice.pk, quota_mb=51201)

    def test_none_takes_the_plans_size(self, cast, alice):
        assert change_mailbox(actor=cast.admin.actor, mailbox_id=alice.pk, quota_mb=None).quota_mb == 51200


class TestState:
    def test_disable_and_enable(self, cast, alice):
        set_status(actor=cast.admin.actor, mailbox_id=alice.pk, status="disabled", refuse=True)
        assert (reload(alice).status, reload(alice).refuse_when_disabled) == ("disabled", True)
        set_status(actor=cast.admin.actor, mailbox_id=alice.pk, status="active")
        assert (reload(alice).status, reload(alice).refuse_when_disabled) == ("active", False)
        assert [row.action for row in audit_of(cast.acme)] == ["mailbox.disabled", "mailbox.enabled"]

    def test_incoming_mail_is_kept_unless_the_owner_says_otherwise(self, cast, alice):
        set_status(actor=cast.admin.actor, mailbox_id=alice.pk, status="disabled")
        assert not reload(alice).refuse_when_disabled

    def test_a_disabled_person_may_not_sign_in_to_the_web(self, cast, alice):
        with tenant_tx(cast.acme.pk):
            assert hooks.reason_against_sign_in(alice.user) is None
        set_status(actor=cast.admin.actor, mailbox_id=alice.pk, status="disabled")
        with tenant_tx(cast.acme.pk):
            assert "disabled" in str(hooks.reason_against_sign_in(alice.user))

    def test_an_owner_whose_mailbox_is_disabled_keeps_the_console(self, cast, owners):
        set_status(actor=cast.owner.actor, mailbox_id=owners.pk, status="disabled")
        with tenant_tx(cast.acme.pk):
            assert hooks.reason_against_sign_in(cast.owner.user) is None

    @pytest.mark.parametrize("status", ["suspended", "gone", ""])
    def test_a_customer_cannot_suspend_or_invent(self, cast, alice, status):
        with pytest.raises((Forbidden, Invalid)):
            set_status(actor=cast.owner.actor, mailbox_id=alice.pk, status=status)

    @pytest.mark.parametrize("status", ["active", "disabled"])
    def test_nor_lift_the_operators_suspension(self, cast, alice, status):
        operator = Actor.system(cast.acme.pk, "Operator")
        set_status(actor=operator, mailbox_id=alice.pk, status="suspended", reason="spam", by_operator=True)
        with pytest.raises(errors.SuspendedByOperator):
            set_status(actor=cast.owner.actor, mailbox_id=alice.pk, status=status)
        set_status(actor=operator, mailbox_id=alice.pk, status="active", by_operator=True)
        assert (reload(alice).status, reload(alice).status_reason) == ("active", "")

    def test_the_operator_acts_in_a_suspended_company_and_the_customer_does_not(self, cast, alice):
        set_columns(cast.acme, status=Tenant.Status.SUSPENDED)
        with pytest.raises(CompanySuspended):
            set_status(actor=cast.owner.actor, mailbox_id=alice.pk, status="disabled")
        operator = Actor.system(cast.acme.pk, "Operator")
        set_status(actor=operator, mailbox_id=alice.pk, status="suspended", by_operator=True)
        assert reload(alice).status == "suspended"


class TestPassword:
    def test_mail_programs_and_web_change_together(self, cast, alice):
        set_mailbox_password(actor=cast.admin.actor, mailbox_id=alice.pk, password=NEW_PASSWORD)
        mailbox, person = reload(alice), User.objects.get(pk=alice.user_id)
        assert verify_password(NEW_PASSWORD, mailbox.password_hash)
        assert check_password(NEW_PASSWORD, person.password)
        assert bare_hash(person.password) == mailbox.password_hash

    def test_the_persons_own_change_reaches_his_mail_programs(self, cast, domain):
        person, mailbox = make_mailbox_person(cast.acme, domain, "bob")
        set_password(actor=person.actor, user=person.user, password=NEW_PASSWORD)
        assert verify_password(NEW_PASSWORD, reload(mailbox).password_hash)

    def test_the_owners_change_reaches_his_joined_mailbox(self, cast, owners):
        set_password(actor=cast.owner.actor, user=cast.owner.user, password=NEW_PASSWORD)
        assert verify_password(NEW_PASSWORD, reload(owners).password_hash)

    def test_an_api_key_may_reset_a_plain_mailbox(self, key, alice):
        set_mailbox_password(actor=key, mailbox_id=alice.pk, password=NEW_PASSWORD)
        assert verify_password(NEW_PASSWORD, reload(alice).password_hash)

    def test_a_mailbox_without_a_person_has_a_password_too(self, cast, domain):
        lone = make_mailbox(domain, "lone")
        set_mailbox_password(actor=cast.admin.actor, mailbox_id=lone.pk, password=NEW_PASSWORD)
        assert verify_password(NEW_PASSWORD, reload(lone).password_hash)

    def test_a_weak_one_is_refused_and_nothing_changes(self, cast, alice):
        with pytest.raises(errors.PasswordRefused):
            set_mailbox_password(actor=cast.admin.actor, mailbox_id=alice.pk, password="password1234")
        assert verify_password(GOOD_PASSWORD, reload(alice).password_hash)

    def test_ones_own_console_password_asks_for_the_present_one_elsewhere(self, cast, owners):
        with pytest.raises(errors.OwnPassword):
            set_mailbox_password(actor=cast.owner.actor, mailbox_id=owners.pk, password=NEW_PASSWORD)

    def test_it_is_logged_without_it(self, cast, alice):
        set_mailbox_password(actor=cast.admin.actor, mailbox_id=alice.pk, password=NEW_PASSWORD)
        rows = audit_of(cast.acme)
        assert "mailbox.password_set" in [row.action for row in rows]
        assert not any(NEW_PASSWORD in str(row.details) or "$2b$" in str(row.details) for row in rows)


class TestNobodyActsOnSomeoneStronger:
    @pytest.mark.parametrize(
        "act",
        [
            lambda actor, row: set_mailbox_password(actor=actor, mailbox_id=row.pk, password=NEW_PASSWORD),
            lambda actor, row: set_status(actor=actor, mailbox_id=row.pk, status="disabled"),
            lambda actor, row: delete_mailbox(actor=actor, mailbox_id=row.pk, confirmation=row.email),
        ],
        ids=["password", "disable", "delete"],
    )
    def test_an_admin_and_a_key_on_the_owners_mailbox(self, cast, owners, key, act):
        for actor in (cast.admin.actor, key):
            with pytest.raises(Forbidden):
                act(actor, owners)
        row = reload(owners)
        assert row.status == "active"
        assert verify_password(GOOD_PASSWORD, row.password_hash)

    def test_nor_by_deleting_the_domain_around_it(self, cast, domain, owners):
        with pytest.raises(Forbidden):
            delete_domain(
                actor=cast.admin.actor, domain_id=domain.pk, confirm="acme.test", addresses=["olive@acme.test"]
            )
        assert reload(owners).status == "active"

    def test_an_owner_on_an_admins_mailbox_may(self, cast, domain):
        admins = make_mailbox(domain, "adam", person=make_member(cast.acme, Role.ADMIN).user)
        set_mailbox_password(actor=cast.owner.actor, mailbox_id=admins.pk, password=NEW_PASSWORD)
        assert verify_password(NEW_PASSWORD, reload(admins).password_hash)

    def test_a_stranger_finds_nothing(self, cast, alice):
        for act in (
            lambda: change_mailbox(actor=cast.stranger.actor, mailbox_id=alice.pk, display_name="x"),
            lambda: set_status(actor=cast.stranger.actor, mailbox_id=alice.pk, status="disabled"),
            lambda: set_mailbox_password(actor=cast.stranger.actor, mailbox_id=alice.pk, password=NEW_PASSWORD),
            lambda: delete_mailbox(actor=cast.stranger.actor, mailbox_id=alice.pk, confirmation=alice.email),
            lambda: retry_sync(actor=cast.stranger.actor, mailbox_id=alice.pk),
        ):
            with pytest.raises(NotFound):
                act()


class TestDeleting:
    def test_row_person_and_mail_go(self, cast, alice):
        delete_mailbox(actor=cast.admin.actor, mailbox_id=alice.pk, confirmation=" ALICE@acme.test ")
        with tenant_tx(cast.acme.pk):
            assert not MailUser.objects.exists()
        assert not User.objects.filter(email="alice@acme.test").exists()
        assert waiting_jobs(tasks.remove_mailbox) == [{"address": "alice@acme.test", "mailbox_id": str(alice.pk)}]
        assert [row.target for row in audit_of(cast.acme, "mailbox.deleted")] == ["alice@acme.test"]

    def test_an_owner_keeps_his_sign_in(self, cast, owners):
        delete_mailbox(actor=cast.owner.actor, mailbox_id=owners.pk, confirmation=owners.email)
        assert User.objects.filter(pk=cast.owner.user.pk).exists()

    def test_what_was_typed_must_be_the_address(self, cast, alice):
        with pytest.raises(errors.ConfirmationMismatch):
            delete_mailbox(actor=cast.admin.actor, mailbox_id=alice.pk, confirmation="bob@acme.test")
        assert reload(alice).status == "active"

    def test_the_address_is_free_at_once(self, cast, alice):
        delete_mailbox(actor=cast.admin.actor, mailbox_id=alice.pk, confirmation=alice.email)
        again = create_mailbox(actor=cast.admin.actor, email=alice.email, password=GOOD_PASSWORD)
        assert again.pk != alice.pk

    def test_a_domain_goes_with_the_mailboxes_that_were_named(self, cast, domain, alice):
        with pytest.raises(DomainHoldsAddresses):
            delete_domain(actor=cast.owner.actor, domain_id=domain.pk, confirm="acme.test")
        delete_domain(actor=cast.owner.actor, domain_id=domain.pk, confirm="acme.test", addresses=[alice.email])
        assert not User.objects.filter(email=alice.email).exists()
        assert waiting_jobs(tasks.remove_mailbox) == [{"address": alice.email, "mailbox_id": str(alice.pk)}]

    def test_the_persons_log_outlives_him(self, cast, domain):
        person, mailbox = make_mailbox_person(cast.acme, domain, "bob")
        set_password(actor=person.actor, user=person.user, password=NEW_PASSWORD)
        delete_mailbox(actor=cast.admin.actor, mailbox_id=mailbox.pk, confirmation=mailbox.email)
        (row,) = audit_of(cast.acme, "password.changed")
        assert (row.actor, row.tenant_id, row.user_id) == ("bob@acme.test", cast.acme.pk, None)


class TestTheEngine:
    def test_is_made_as_the_row_says(self, cast, domain, fake_engine):
        _apply(fake_engine, domain)
        mailbox = create_mailbox(actor=cast.owner.actor, email="alice@acme.test", password=GOOD_PASSWORD, quota_mb=77)
        tasks.sync_mailbox(str(cast.acme.pk), str(mailbox.pk))
        assert reload(mailbox).sync_state == "ready"
        spec = fake_engine.mailboxes["alice@acme.test"].spec
        assert (spec.id, spec.quota_mb, spec.state) == (mailbox.pk, 77, "active")

    def test_waits_for_its_domain(self, cast, fake_engine):
        make_domain(cast.acme, "fresh.test", proven=True, synced_at=None)
        mailbox = create_mailbox(actor=cast.owner.actor, email="alice@fresh.test", password=GOOD_PASSWORD)
        tasks.sync_mailbox(str(cast.acme.pk), str(mailbox.pk))
        assert reload(mailbox).sync_state == "pending"
        assert not fake_engine.mailboxes

    def test_a_refusal_is_shown_and_retry_heals(self, cast, domain, alice, fake_engine):
        _apply(fake_engine, domain)
        fake_engine.fail(EngineRefused("no"), operation="apply_mailbox")
        change_mailbox(actor=cast.owner.actor, mailbox_id=alice.pk, quota_mb=7)
        tasks.sync_mailbox(str(cast.acme.pk), str(alice.pk))
        assert (reload(alice).sync_state, bool(reload(alice).sync_error)) == ("failed", True)
        fake_engine.heal()
        retry_sync(actor=cast.owner.actor, mailbox_id=alice.pk)
        tasks.sync_mailbox(str(cast.acme.pk), str(alice.pk))
        assert (reload(alice).sync_state, reload(alice).sync_error) == ("ready", "")

    def test_removal_touches_only_what_was_made_for_the_row(self, cast, domain, alice, fake_engine):
        _apply(fake_engine, domain)
        retry_sync(actor=cast.owner.actor, mailbox_id=alice.pk)
        tasks.sync_mailbox(str(cast.acme.pk), str(alice.pk))
        tasks.remove_mailbox("alice@acme.test", str(domain.pk))
        assert "alice@acme.test" in fake_engine.mailboxes
        tasks.remove_mailbox("alice@acme.test", str(alice.pk))
        assert "alice@acme.test" not in fake_engine.mailboxes

    def test_a_removal_that_fails_is_tried_again(self, cast, fake_engine):
        fake_engine.fail(EngineUnavailable("away"), operation="remove_mailbox")
        tasks.remove_mailbox("alice@acme.test", "6b1c1f9e-4e43-4f4b-9d0c-2f5a7f5e1f10")
        assert [job["attempt"] for job in waiting_jobs(tasks.remove_mailbox)] == [1]


def _apply(fake, domain):
    from deftmail.engine.testing import domain_spec

    fake.apply_domain(domain_spec(domain.domain))


class TestRecording:
    def test_a_sign_in_is_noted_at_most_once_a_minute(self, cast, alice):
        assert record_sign_in(cast.acme.pk, alice.pk)
        first = reload(alice).last_login_at
        assert not record_sign_in(cast.acme.pk, alice.pk)
        assert reload(alice).last_login_at == first

    def test_signing_in_on_the_web_is_a_sign_in_too(self, cast, alice):
        assert reload(alice).last_login_at is None
        assert sign_in(make_client(), alice.email, "wrong").status_code == 422
        assert reload(alice).last_login_at is None
        assert sign_in(make_client(), alice.email).status_code == 302
        assert reload(alice).last_login_at is not None

    def test_usage_is_stored_and_rounded_up_to_megabytes(self, cast, alice):
        assert record_usage(cast.acme.pk, {alice.pk: 1048577}) == 1
        assert (reload(alice).used_bytes, reload(alice).used_quota_mb) == (1048577, 2)
        assert record_usage(cast.acme.pk, {alice.pk: 1048577}) == 0

    def test_usage_of_another_companys_mailbox_is_not_written(self, cast, alice):
        assert record_usage(cast.other.pk, {alice.pk: 5}) == 0
        assert reload(alice).used_bytes == 0
