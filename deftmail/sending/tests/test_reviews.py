"""Blocks and cases from both sides: the company asks, an operator answers, owners are told, the log knows why."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils.timezone import now

from deftmail.domains.testing import make_domain
from deftmail.kit.errors import Forbidden, NotFound
from deftmail.kit.tenancy import tenant_tx
from deftmail.kit.testing import GOOD_PASSWORD
from deftmail.mailboxes.testing import make_mailbox_person
from deftmail.sending import tasks
from deftmail.sending.models import Block, ReviewCase
from deftmail.sending.office import actions as office
from deftmail.sending.office.guard import Operator
from deftmail.sending.reviews import actions
from deftmail.sending.reviews.errors import AlreadyAsked, BlockOver, CaseDecided
from deftmail.sending.selectors import active_blocks
from deftmail.tenants.models import Tenant, User
from deftmail.tenants.testing import audit_of, make_client, make_user, run_jobs, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def domain(cast):
    return make_domain(cast.acme, "acme.test", active=True)


@pytest.fixture
def alice(cast, domain):
    return make_mailbox_person(cast.acme, domain, "alice")[1]


@pytest.fixture
def operator(db):
    return Operator(make_user("opal@deftmail.example", is_operator=True), "192.0.2.9", "")


@pytest.fixture
def stopped(cast, operator, alice):
    return office.block(
        operator=operator,
        tenant_id=cast.acme.pk,
        kind="review",
        reason="A recipient complained.",
        evidence="12 reports since noon",
        mailbox_id=alice.pk,
    )


def told() -> list[tuple[str, str]]:
    run_jobs(tasks.tell_of_block_job, tasks.tell_of_case_job)
    sent = sorted((message.to[0], str(message.subject)) for message in mail.outbox)
    mail.outbox.clear()
    return sent


def blocks_of(tenant: Tenant) -> list[Block]:
    with tenant_tx(tenant.pk):
        return list(active_blocks(tenant.pk))


def case_now(case: ReviewCase) -> ReviewCase:
    with tenant_tx(case.tenant_id):
        return ReviewCase.objects.get(pk=case.pk)


class TestBlocks:
    @pytest.mark.parametrize(("kind", "hours"), [("hour", 1), ("day", 24), ("review", None)])
    def test_last_as_long_as_their_kind(self, cast, operator, kind, hours):
        made = office.block(operator=operator, tenant_id=cast.acme.pk, kind=kind, reason="Looks stolen.")
        lasts = made.ends_at and (made.ends_at - made.starts_at).total_seconds() / 3600
        assert lasts == hours
        assert made.created_by_name == operator.name

    def test_the_owner_is_told_at_his_recovery_address_too_with_evidence_and_way_out(self, cast, stopped):
        User.objects.filter(pk=cast.owner.user.pk).update(
            recovery_email="olive@home.example", recovery_email_verified_at=now()
        )
        told()
        office.block(operator=_any_operator(), tenant_id=cast.acme.pk, kind="hour", reason="Again.", evidence="3 more")
        run_jobs(tasks.tell_of_block_job)
        assert {message.to[0] for message in mail.outbox} == {cast.owner.email, "olive@home.example"}
        text = mail.outbox[0].body
        for words in ("Again.", "3 more", "Only sending is stopped", "ask for a review", reverse("sending:meter")):
            assert words in text
        mail.outbox.clear()

    def test_of_another_companys_mailbox_are_refused(self, cast, operator, alice):
        with pytest.raises(NotFound):
            office.block(operator=operator, tenant_id=cast.other.pk, kind="hour", reason="No.", mailbox_id=alice.pk)

    def test_lifting_tells_once_and_is_written_down(self, cast, operator, stopped):
        told()
        for _again in range(2):
            office.lift(operator=operator, tenant_id=cast.acme.pk, block_id=stopped.pk, reason="Password was changed")
        assert blocks_of(cast.acme) == []
        assert told() == [(cast.owner.email, "alice@acme.test can send again")]
        entry = audit_of(cast.acme, "sending.released")[0]
        assert entry.actor == operator.name
        assert entry.details["reason"] == "Password was changed"

    def test_lifting_answers_the_appeal(self, cast, operator, stopped):
        case = actions.appeal(actor=cast.owner.actor, block_id=stopped.pk, text="We changed it.")
        office.lift(operator=operator, tenant_id=cast.acme.pk, block_id=stopped.pk, reason="Seen")
        assert (case_now(case).state, case_now(case).answer) == ("released", "Seen")


def _any_operator() -> Operator:
    user = User.objects.filter(is_operator=True).get()
    return Operator(user, None, "")


class TestAsking:
    def test_an_appeal_is_filed_once_per_block(self, cast, stopped):
        case = actions.appeal(actor=cast.admin.actor, block_id=stopped.pk, text="It was our newsletter.")
        assert (case.kind, case.opened_by, case.mail_user_id) == ("appeal", cast.admin.email, stopped.mail_user_id)
        with pytest.raises(AlreadyAsked):
            actions.appeal(actor=cast.owner.actor, block_id=stopped.pk, text="Please.")
        assert audit_of(cast.acme, "review.appeal_filed")[0].details["text"] == "It was our newsletter."

    def test_a_suspended_company_may_still_appeal(self, cast, stopped):
        with tenant_tx(cast.acme.pk):
            Tenant.objects.filter(pk=cast.acme.pk).update(status="suspended")
        assert actions.appeal(actor=cast.owner.actor, block_id=stopped.pk, text="Please look.").is_open

    def test_against_a_block_that_is_over_is_pointless(self, cast, operator, stopped):
        office.lift(operator=operator, tenant_id=cast.acme.pk, block_id=stopped.pk, reason="Seen")
        with pytest.raises(BlockOver):
            actions.appeal(actor=cast.owner.actor, block_id=stopped.pk, text="Please.")

    def test_a_mailbox_person_and_a_stranger_may_not(self, cast, stopped):
        with pytest.raises(Forbidden):
            actions.appeal(actor=cast.user.actor, block_id=stopped.pk, text="Please.")
        with pytest.raises(NotFound):
            actions.appeal(actor=cast.stranger.actor, block_id=stopped.pk, text="Please.")

    def test_more_is_asked_for_once_at_a_time(self, cast, alice):
        case = actions.ask_for_more(actor=cast.owner.actor, text="Newsletter", wanted=2000, mailbox_id=alice.pk)
        assert (case.wanted, case.mail_user_id) == (2000, alice.pk)
        with pytest.raises(AlreadyAsked):
            actions.ask_for_more(actor=cast.owner.actor, text="And more", wanted=None)

    def test_more_for_another_companys_mailbox_is_not_found(self, cast, alice):
        with pytest.raises(NotFound):
            actions.ask_for_more(actor=cast.stranger.actor, text="Newsletter", wanted=None, mailbox_id=alice.pk)


class TestAnswering:
    def test_an_appeal_granted_lifts_the_block(self, cast, operator, stopped):
        case = actions.appeal(actor=cast.owner.actor, block_id=stopped.pk, text="Changed.")
        told()
        office.release(operator=operator, tenant_id=cast.acme.pk, case_id=case.pk, answer="Thank you.")
        assert blocks_of(cast.acme) == []
        assert told() == [(cast.owner.email, "Your appeal was granted")]

    def test_more_granted_sets_the_limits_with_the_answer_as_reason(self, cast, operator):
        case = actions.ask_for_more(actor=cast.owner.actor, text="Newsletter", wanted=2000)
        office.release(
            operator=operator,
            tenant_id=cast.acme.pk,
            case_id=case.pk,
            answer="Good list.",
            limits={"recipients_per_mailbox_day": 2000},
        )
        with tenant_tx(cast.acme.pk):
            assert Tenant.objects.get(pk=cast.acme.pk).recipients_per_mailbox_day == 2000
        entry = audit_of(cast.acme, "sending.limits_changed")[0]
        assert (entry.actor, entry.details["reason"]) == (operator.name, "Good list.")
        assert entry.details["before"] == {"recipients_per_mailbox_day": 1000}

    def test_refused_keeps_the_block_and_says_why(self, cast, operator, stopped):
        case = actions.appeal(actor=cast.owner.actor, block_id=stopped.pk, text="Changed.")
        told()
        office.refuse(operator=operator, tenant_id=cast.acme.pk, case_id=case.pk, answer="It goes on.")
        assert len(blocks_of(cast.acme)) == 1
        assert told() == [(cast.owner.email, "Your appeal was refused")]
        again = actions.appeal(actor=cast.owner.actor, block_id=stopped.pk, text="Now it stopped.")
        assert again.is_open

    def test_a_case_is_decided_once(self, cast, operator, stopped):
        case = actions.appeal(actor=cast.owner.actor, block_id=stopped.pk, text="Changed.")
        office.refuse(operator=operator, tenant_id=cast.acme.pk, case_id=case.pk, answer="No.")
        with pytest.raises(CaseDecided):
            office.release(operator=operator, tenant_id=cast.acme.pk, case_id=case.pk, answer="Yes.")

    def test_a_case_is_found_in_its_own_company_only(self, cast, operator, stopped):
        case = actions.appeal(actor=cast.owner.actor, block_id=stopped.pk, text="Changed.")
        with pytest.raises(NotFound):
            office.refuse(operator=operator, tenant_id=cast.other.pk, case_id=case.pk, answer="No.")

    def test_only_limits_can_be_changed(self, cast, operator):
        with pytest.raises(ValueError, match="max_domains"):
            office.change_limits(operator=operator, tenant_id=cast.acme.pk, limits={"max_domains": 9}, reason="No.")


@pytest.mark.django_db(transaction=True, databases=["default", "system", "owner"])
class TestTheCommand:
    def run(self, *args: str) -> str:
        out = StringIO()
        call_command("operator", *args, stdout=out)
        return out.getvalue()

    def test_makes_an_operator_who_signs_in_to_the_office(self):
        self.run("create", "--email", "Opal@deftmail.example", "--password", GOOD_PASSWORD)
        client = make_client()
        response = sign_in(client, "opal@deftmail.example")
        assert (response.status_code, response["Location"]) == (302, reverse("office:cases"))
        assert client.get(response["Location"]).status_code == 200
        assert client.get("/")["Location"] == reverse("office:cases")
        assert self.run("list") == "opal@deftmail.example\n"

    def test_refuses_a_weak_password_and_somebodys_address(self, cast):
        with pytest.raises(CommandError, match="--password"):
            self.run("create", "--email", "opal@deftmail.example", "--password", "short")
        with pytest.raises(CommandError, match="already"):
            self.run("create", "--email", cast.owner.email, "--password", GOOD_PASSWORD)
        assert User.objects.get(pk=cast.owner.user.pk).is_operator is False

    def test_removing_ends_the_access_at_once(self):
        self.run("create", "--email", "opal@deftmail.example", "--password", GOOD_PASSWORD)
        client = make_client()
        client.force_login(User.objects.get(email="opal@deftmail.example"))
        assert client.get(reverse("office:cases")).status_code == 200
        self.run("remove", "--email", "opal@deftmail.example")
        assert client.get(reverse("office:cases")).status_code == 302
        with pytest.raises(CommandError, match="no operator"):
            self.run("remove", "--email", "opal@deftmail.example")
        self.run("create", "--email", "opal@deftmail.example", "--password", GOOD_PASSWORD)
        assert self.run("list") == "opal@deftmail.example\n"
