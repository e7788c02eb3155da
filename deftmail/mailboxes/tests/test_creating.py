"""A new mailbox: where it may stand, who becomes its person, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import check_password

from deftmail.domains.testing import make_domain
from deftmail.engine.registry import engine
from deftmail.kit.errors import Forbidden
from deftmail.kit.passwords import bare_hash, verify_password
from deftmail.kit.tenancy import tenant_tx
from deftmail.kit.testing import GOOD_PASSWORD, waiting_jobs
from deftmail.mailboxes import errors, tasks
from deftmail.mailboxes.actions import create_mailbox
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.selectors import needs_recovery_address
from deftmail.mailboxes.testing import make_mailbox
from deftmail.tenants.actor import Actor
from deftmail.tenants.errors import CompanySuspended
from deftmail.tenants.models import Membership, Role, Tenant, User
from deftmail.tenants.signin import PasswordBackend
from deftmail.tenants.testing import audit_of, make_company, make_member, set_columns

pytestmark = pytest.mark.django_db
OTHER_PASSWORD = "tin harbour velvet moss"


@pytest.fixture
def domain(cast):
    return make_domain(cast.acme, "acme.test", active=True)


def create(person, email="alice@acme.test", password=GOOD_PASSWORD, **values):
    return create_mailbox(actor=person.actor, email=email, password=password, **values)


def people(tenant):
    return Membership.objects.filter(tenant=tenant).count()


def mailboxes(tenant):
    with tenant_tx(tenant.pk):
        return sorted(MailUser.objects.values_list("email", flat=True))


class TestNewPerson:
    def test_a_mailbox_a_person_and_a_job_are_made(self, cast, domain):
        mailbox = create(cast.admin, "Alice@ACME.test", display_name="  Alice \n Adams ", quota_mb=2048)

        assert (mailbox.email, mailbox.display_name, mailbox.quota_mb) == ("alice@acme.test", "Alice Adams", 2048)
        assert mailbox.sync_state == "pending"
        assert mailbox.status == "active"
        membership = Membership.objects.get(user__email="alice@acme.test")
        assert (membership.tenant_id, membership.role) == (cast.acme.pk, Role.USER)
        assert waiting_jobs(tasks.sync_mailbox) == [{"tenant_id": str(cast.acme.pk), "mailbox_id": str(mailbox.pk)}]

    def test_one_hash_serves_mail_programs_and_the_web(self, cast, domain):
        mailbox = create(cast.owner)
        user = User.objects.get(email="alice@acme.test")

        assert verify_password(GOOD_PASSWORD, mailbox.password_hash)
        assert check_password(GOOD_PASSWORD, user.password)
        assert bare_hash(user.password) == mailbox.password_hash

    def test_the_address_counts_as_verified(self, cast, domain):
        create(cast.owner)
        assert EmailAddress.objects.get(user__email="alice@acme.test").verified

    def test_the_act_is_logged_without_the_password(self, cast, domain):
        create(cast.owner)
        (row,) = audit_of(cast.acme, "mailbox.created")
        assert (row.target, row.actor) == ("alice@acme.test", cast.owner.email)
        assert GOOD_PASSWORD not in str(row.details)
        assert "$2b$" not in str(row.details)

    def test_without_a_size_it_gets_the_plans(self, cast, domain):
        assert create(cast.owner).quota_mb == 51200

    def test_an_unlimited_plan_gives_an_unlimited_mailbox_and_takes_any_size(self, cast, domain):
        set_columns(cast.acme, mailbox_quota_mb=None)
        assert create(cast.owner).quota_mb is None
        assert create(cast.owner, "bob@acme.test", quota_mb=99_999).quota_mb == 99_999

    def test_before_the_domain_is_active_it_can_be_made_once_ownership_is_proven(self, cast):
        make_domain(cast.acme, "proven.test", proven=True)
        assert create(cast.owner, "alice@proven.test").email == "alice@proven.test"

    def test_an_internationalised_domain_is_stored_as_a_labels(self, cast):
        make_domain(cast.acme, "xn--bcher-kva.test", active=True, domain_unicode="bücher.test")
        assert create(cast.owner, "alice@bücher.test").email == "alice@xn--bcher-kva.test"


class TestRefused:
    @pytest.mark.parametrize(
        ("email", "reason"),
        [
            ("", "empty"),
            ("alice", "no_at"),
            ("@acme.test", "local_empty"),
            ("a..b@acme.test", "local_dots"),
            ("alice+shop@acme.test", "local_plus"),
            ("al ice@acme.test", "local_bad_chars"),
            ("-alice@acme.test", "local_hyphen"),
            ("älice@acme.test", "local_not_ascii"),
            ("x" * 65 + "@acme.test", "local_too_long"),
            ("alice@acme.test\r\nBcc: x@y.test", "line_break"),
        ],
    )
    def test_what_is_no_address(self, cast, domain, email, reason):
        with pytest.raises(errors.AddressInvalid) as refusal:
            create(cast.owner, email)
        assert refusal.value.data["reason"] == reason
        assert refusal.value.field == "email"

    def test_what_the_engine_cannot_serve_is_said_before_anything_is_made(self, cast, domain, monkeypatch):
        limits = replace(engine().capabilities, max_address=20, reserved=frozenset({"anyone"}))
        monkeypatch.setattr(type(engine()), "capabilities", limits)
        for email, reason in (("a" * 11 + "@acme.test", "address_too_long"), ("Anyone@acme.test", "reserved")):
            with pytest.raises(errors.AddressInvalid) as refusal:
                create(cast.owner, email)
            assert refusal.value.data["reason"] == reason
        assert mailboxes(cast.acme) == []
        assert create(cast.owner, "a" * 10 + "@acme.test")

    def test_a_domain_the_company_does_not_have(self, cast, domain):
        with pytest.raises(errors.DomainNotYours):
            create(cast.owner, "alice@elsewhere.test")

    def test_a_domain_of_another_company_answers_the_same(self, cast):
        make_domain(cast.other, "other.test", active=True)
        with pytest.raises(errors.DomainNotYours) as foreign:
            create(cast.owner, "alice@other.test")
        with pytest.raises(errors.DomainNotYours) as absent:
            create(cast.owner, "alice@absent.test")
        assert str(foreign.value) == str(absent.value).replace("absent", "other")

    def test_a_domain_that_is_only_claimed(self, cast):
        make_domain(cast.acme, "claimed.test")
        with pytest.raises(errors.DomainNotProven):
            create(cast.owner, "alice@claimed.test")

    def test_an_address_twice(self, cast, domain):
        create(cast.owner)
        with pytest.raises(errors.AddressTaken):
            create(cast.owner, "ALICE@acme.test")
        assert mailboxes(cast.acme) == ["alice@acme.test"]

    @pytest.mark.parametrize(
        ("password", "reason"),
        [
            ("short", "password_too_short"),
            ("iloveyou1234", "password_weak"),
            ("password1234", "password_breached"),
            ("Correct horse, battery-staple", "password_breached"),
            ("pass-word-1234", "password_breached"),
            ("Tr0ub4dor&3", "password_breached"),
            ("alice@acme.test", "password_weak"),
            ("ü" * 37, "password_too_long"),
            ("plum orbit\0ledger quay", "password_character"),
        ],
    )
    def test_a_poor_password(self, cast, domain, password, reason):
        with pytest.raises(errors.PasswordRefused) as refusal:
            create(cast.owner, password=password)
        assert refusal.value.field == "password"
        assert refusal.value.data["reason"] == reason
        assert mailboxes(cast.acme) == []

    @pytest.mark.parametrize("quota", [0, -1, 51201, 2**40])
    def test_a_size_outside_the_plan(self, cast, domain, quota):
        with pytest.raises(errors.QuotaInvalid):
            create(cast.owner, quota_mb=quota)

    def test_beyond_the_plans_number_of_mailboxes(self, cast, domain):
        set_columns(cast.acme, max_mailboxes=1)
        create(cast.owner)
        with pytest.raises(errors.MailboxLimitReached) as refusal:
            create(cast.owner, "bob@acme.test")
        assert refusal.value.data["limit"] == 1
        assert mailboxes(cast.acme) == ["alice@acme.test"]

    def test_beyond_the_plans_number_in_one_domain(self, cast, domain):
        set_columns(cast.acme, max_users_per_domain=1)
        make_domain(cast.acme, "second.test", active=True)
        create(cast.owner)
        with pytest.raises(errors.DomainMailboxLimitReached):
            create(cast.owner, "bob@acme.test")
        assert create(cast.owner, "bob@second.test").email == "bob@second.test"

    @pytest.mark.parametrize("status", [Tenant.Status.SUSPENDED, Tenant.Status.CANCELLED])
    def test_in_a_stopped_company(self, cast, domain, status):
        set_columns(cast.acme, status=status)
        with pytest.raises(CompanySuspended):
            create(cast.owner)

    def test_by_a_plain_user(self, cast, domain):
        with pytest.raises(Forbidden):
            create(cast.user)

    def test_nothing_is_half_done(self, cast, domain, monkeypatch):
        def broken(_mailbox):
            raise RuntimeError("the last step fails")

        monkeypatch.setattr("deftmail.mailboxes.actions.create.sync", broken)
        before = people(cast.acme)
        with pytest.raises(RuntimeError):
            create(cast.owner)
        assert mailboxes(cast.acme) == []
        assert people(cast.acme) == before
        assert not audit_of(cast.acme, "mailbox.created")


class TestTheOwnerHostsTheDomainHeSignedUpWith:
    @pytest.fixture
    def kumar(self, db):
        owner = make_company("Kumar & Sons", "kumar@kumar.test")
        make_domain(owner.tenant, "kumar.test", active=True)
        return owner

    def test_the_mailbox_joins_his_user_and_his_role_stays(self, kumar):
        mailbox = create(kumar, "kumar@kumar.test", password="")

        assert mailbox.user_id == kumar.user.pk
        assert Membership.objects.get(user=kumar.user).role == Role.OWNER
        assert User.objects.filter(email="kumar@kumar.test").count() == 1

    def test_his_one_password_serves_both(self, kumar):
        mailbox = create(kumar, "kumar@kumar.test", password=OTHER_PASSWORD)

        assert verify_password(GOOD_PASSWORD, mailbox.password_hash)
        assert not verify_password(OTHER_PASSWORD, mailbox.password_hash)
        assert check_password(GOOD_PASSWORD, User.objects.get(pk=kumar.user.pk).password)

    def test_a_key_or_an_admin_who_makes_it_cannot_take_his_password(self, kumar):
        key = Actor.key(kumar.tenant.pk, "provisioning", ["mailboxes:write"], ip=None)
        mailbox = create_mailbox(actor=key, email="kumar@kumar.test", password=OTHER_PASSWORD)

        assert verify_password(GOOD_PASSWORD, mailbox.password_hash)
        assert check_password(GOOD_PASSWORD, User.objects.get(pk=kumar.user.pk).password)

    def test_an_owner_without_a_password_gets_none_from_others(self, kumar):
        User.objects.filter(pk=kumar.user.pk).update(password="!")
        admin = make_member(kumar.tenant, Role.ADMIN)
        mailbox = create(admin, "kumar@kumar.test", password=OTHER_PASSWORD)

        assert not verify_password(OTHER_PASSWORD, mailbox.password_hash)
        assert User.objects.get(pk=kumar.user.pk).password == "!"

    def test_he_must_then_name_a_recovery_address_outside(self, kumar):
        with tenant_tx(kumar.tenant.pk):
            assert not needs_recovery_address(kumar.tenant.pk, kumar.user.pk)
        create(kumar, "kumar@kumar.test")
        with tenant_tx(kumar.tenant.pk):
            assert needs_recovery_address(kumar.tenant.pk, kumar.user.pk)
        stamp = kumar.user.date_joined
        User.objects.filter(pk=kumar.user.pk).update(recovery_email="k@kumar.test", recovery_email_verified_at=stamp)
        with tenant_tx(kumar.tenant.pk):
            assert needs_recovery_address(kumar.tenant.pk, kumar.user.pk)
        User.objects.filter(pk=kumar.user.pk).update(recovery_email="k@outside.example")
        with tenant_tx(kumar.tenant.pk):
            assert not needs_recovery_address(kumar.tenant.pk, kumar.user.pk)

    def test_a_person_has_one_mailbox(self, kumar):
        domain = make_domain(kumar.tenant, "second.test", active=True)
        make_mailbox(domain, "old", person=kumar.user)
        with pytest.raises(errors.PersonHasMailbox):
            create(kumar, "kumar@kumar.test")


class TestAStrangerSignedInWithTheAddress:
    @pytest.fixture
    def stranger(self, db):
        return make_company("Elsewhere", "alice@acme.test")

    def test_the_company_that_proved_the_domain_gets_the_address(self, cast, stranger, domain):
        mailbox = create(cast.owner, password=OTHER_PASSWORD)

        assert mailbox.user.pk != stranger.user.pk
        assert Membership.objects.get(user=mailbox.user).tenant_id == cast.acme.pk

    def test_the_stranger_keeps_account_password_and_company_under_a_mark(self, cast, stranger, domain):
        create(cast.owner, password=OTHER_PASSWORD)

        moved = User.objects.get(pk=stranger.user.pk)
        assert moved.former_email == "alice@acme.test"
        assert moved.email.endswith("@displaced.invalid")
        assert Membership.objects.get(user=moved).role == Role.OWNER
        sign_in = PasswordBackend().authenticate
        assert sign_in(None, email="Alice@acme.test", password=GOOD_PASSWORD) == moved
        assert sign_in(None, email="alice@acme.test", password=OTHER_PASSWORD) == User.objects.get(
            email="alice@acme.test"
        )
        assert sign_in(None, email="alice@acme.test", password="neither of these") is None
        assert sign_in(None, email="", password=GOOD_PASSWORD) is None

    def test_his_companys_letters_no_longer_go_to_the_address(self, cast, stranger, domain):
        create(cast.owner)
        with tenant_tx(stranger.tenant.pk):
            assert Tenant.objects.get().owner_email != "alice@acme.test"
        assert not EmailAddress.objects.filter(user=stranger.user, email="alice@acme.test").exists()

    def test_neither_learns_of_the_other(self, cast, stranger, domain):
        create(cast.owner)
        assert "Acme" not in str([row.details for row in audit_of(stranger.tenant)])
        assert "Elsewhere" not in str([row.details for row in audit_of(cast.acme)])
