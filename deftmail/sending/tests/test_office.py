"""The operator's pages: for operators alone, with a reason for each company, and a way to each answer."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from deftmail.domains.testing import make_domain
from deftmail.kit.conf import conf
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.testing import make_mailbox
from deftmail.sending import actions
from deftmail.sending.models import Block, ReviewCase
from deftmail.sending.reviews.actions import appeal, ask_for_more
from deftmail.sending.selectors import active_blocks
from deftmail.tenants.models import Tenant
from deftmail.tenants.selectors import system
from deftmail.tenants.testing import audit_of, make_client, make_company, make_user

NO_GATE = {"gate_policy": "127.0.0.1:1"}
pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "system", "owner"])


@pytest.fixture
def acme(db):
    return make_company("Acme", "olive@acme-signup.example")


@pytest.fixture
def alice(acme):
    return make_mailbox(make_domain(acme.tenant, "acme.test", active=True), "alice")


@pytest.fixture
def operator(db):
    client = make_client()
    client.force_login(make_user("opal@deftmail.example", is_operator=True))
    return client


@pytest.fixture
def stopped(acme, alice):
    with tenant_tx(acme.tenant.pk):
        return actions.block(
            tenant_id=acme.tenant.pk,
            kind="review",
            reason="A recipient complained.",
            evidence="12 reports",
            mailbox=alice,
        )


@pytest.fixture
def case(acme, stopped):
    return appeal(actor=acme.actor, block_id=stopped.pk, text="It was our newsletter.")


def text_of(response):
    return response.content.decode()


def url(name, *args):
    return reverse(f"office:{name}", args=args)


def opened(operator, tenant):
    operator.post(url("company", tenant.pk), {"reason": "A test needs it"})
    return text_of(operator.get(url("company", tenant.pk)))


def blocks_of(tenant: Tenant) -> list[Block]:
    with tenant_tx(tenant.pk):
        return list(active_blocks(tenant.pk))


class TestTheQueue:
    def test_empty_it_says_what_comes_here(self, operator):
        assert "Nobody waits" in text_of(operator.get(url("cases")))

    def test_shows_who_asks_for_what(self, operator, acme, case):
        page = text_of(operator.get(url("cases")))
        for words in ("Acme", acme.email, "Appeal", "alice@acme.test"):
            assert words in page
        assert "Nobody waits" in text_of(operator.get(url("cases") + "?state=decided"))

    def test_is_searched(self, operator, case):
        assert "Acme" in text_of(operator.get(url("cases") + "?q=alice"))
        assert "No case matches" in text_of(operator.get(url("cases") + "?q=nobody"))

    def test_a_search_that_no_name_can_hold_finds_nothing(self, operator):
        for page in ("companies", "cases"):
            for word in ("%00", "a%00b", "%ff", "%F0%9F%98%80"):
                assert operator.get(url(page) + f"?q={word}").status_code == 200, (page, word)

    def test_asks_the_database_no_more_for_many_cases(self, operator, django_assert_max_num_queries):
        for number in range(8):
            ask_for_more(actor=make_company(f"Company {number}").actor, text="More.", wanted=None)
        with django_assert_max_num_queries(8):
            assert "Company 7" in text_of(operator.get(url("cases")))


class TestACase:
    def test_shows_all_there_is_and_the_look_stands_in_the_companys_log(self, operator, acme, case):
        page = text_of(operator.get(url("case", case.pk)))
        for words in ("It was our newsletter.", "A recipient complained.", "12 reports", "Lift the block", "Refuse"):
            assert words in page
        operator.get(url("case", case.pk))
        looks = audit_of(acme.tenant, "operator.looked")
        assert [(look.actor, look.details["reason"]) for look in looks] == [
            ("Operator opal@deftmail.example", f"Review case of {acme.email}")
        ]

    def test_is_granted(self, operator, acme, case):
        response = operator.post(url("release", case.pk), {"release-answer": "Thank you."})
        assert (response.status_code, response["Location"]) == (303, url("cases"))
        assert blocks_of(acme.tenant) == []
        page = text_of(operator.get(url("cases") + "?state=decided"))
        assert "Granted" in page

    def test_is_refused_and_only_once(self, operator, acme, case):
        assert operator.post(url("refuse", case.pk), {"refuse-answer": "It goes on."}).status_code == 303
        assert len(blocks_of(acme.tenant)) == 1
        late = operator.post(url("release", case.pk), {"release-answer": "Yes."})
        assert late.status_code == 422
        assert "decided already" in text_of(late)

    def test_wants_an_answer(self, operator, case):
        assert operator.post(url("refuse", case.pk), {"refuse-answer": " "}).status_code == 422

    def test_more_is_granted_with_the_numbers_typed(self, operator, acme):
        asked = ask_for_more(actor=acme.actor, text="A newsletter", wanted=2000)
        assert 'value="2000"' in text_of(operator.get(url("case", asked.pk)))
        typed = {"recipients_per_mailbox_day": "1500", "recipients_per_domain_day": "", "answer": "Half of it."}
        operator.post(url("release", asked.pk), {f"release-{name}": value for name, value in typed.items()})
        with tenant_tx(acme.tenant.pk):
            company = Tenant.objects.get(pk=acme.tenant.pk)
            assert ReviewCase.objects.get(pk=asked.pk).state == "released"
        assert (company.recipients_per_mailbox_day, company.recipients_per_domain_day) == (1500, None)


class TestACompany:
    def test_opens_only_with_a_reason_which_is_written_down(self, operator, acme):
        assert "Say why you open this company" in text_of(operator.get(url("company", acme.tenant.pk)))
        assert operator.post(url("company", acme.tenant.pk), {"reason": ""}).status_code == 422
        assert audit_of(acme.tenant, "operator.looked") == []
        assert "Save limits" in opened(operator, acme.tenant)
        assert audit_of(acme.tenant, "operator.looked")[0].details["reason"] == "A test needs it"

    def test_is_found_by_name_and_owner_with_its_blocks(self, operator, acme, stopped):
        make_company("Other")
        page = text_of(operator.get(url("companies") + "?q=acme"))
        assert acme.tenant.company_name in page
        assert "Other" not in page
        assert "No company matches" in text_of(operator.get(url("companies") + "?q=zzz"))

    def test_who_uses_up_its_limits_by_a_command_is_written_down(self, acme, alice, monkeypatch):
        monkeypatch.setattr("deftmail.sending.management.commands.sending.conf", conf.model_copy(update=NO_GATE))
        with pytest.raises(CommandError, match="does not answer"):
            call_command("sending", "simulate", "--mailbox", "alice@acme.test", "--messages", "3")
        (row,) = audit_of(acme.tenant, "sending.simulated")
        assert (row.target, row.details) == ("alice@acme.test", {"messages": 3, "recipients": 1})
        assert row.actor.startswith("Operator's command (")

    def test_who_reads_the_names_of_companies_is_written_down(self, operator, acme):
        operator.get(url("companies") + "?q=acme")
        operator.get(url("cases"))
        rows = [(row.actor, row.action, row.details) for row in system.operator_log(10)]
        assert rows == [
            ("Operator opal@deftmail.example", "cases.listed", {"search": ""}),
            ("Operator opal@deftmail.example", "companies.listed", {"search": "acme"}),
        ]

    def test_asks_the_database_no_more_for_many_companies(self, operator, django_assert_max_num_queries):
        for number in range(8):
            make_company(f"Company {number}")
        with django_assert_max_num_queries(8):
            assert "Company 7" in text_of(operator.get(url("companies")))

    def test_limits_are_changed_with_a_reason(self, operator, acme):
        opened(operator, acme.tenant)
        typed = {
            "recipients_per_mailbox_day": "70",
            "recipients_per_mailbox_hour": "60",
            "recipients_per_minute": "10",
            "first_recipients_per_day": "",
            "recipients_per_domain_day": "500",
        }
        post = {f"limits-{name}": value for name, value in typed.items()}
        assert operator.post(url("limits", acme.tenant.pk), post).status_code == 422
        assert operator.post(url("limits", acme.tenant.pk), post | {"limits-reason": "Many bounces"}).status_code == 303
        with tenant_tx(acme.tenant.pk):
            company = Tenant.objects.get(pk=acme.tenant.pk)
        assert company.recipients_per_mailbox_day == 70
        assert company.first_recipients_per_day is None
        assert audit_of(acme.tenant, "sending.limits_changed")[0].details["reason"] == "Many bounces"

    @pytest.mark.parametrize("whose", ["company", "domain", "mailbox"])
    def test_sending_is_stopped_and_allowed_again(self, operator, acme, alice, whose):
        opened(operator, acme.tenant)
        what = {"company": "company", "domain": f"domain:{alice.domain_id}", "mailbox": f"mailbox:{alice.pk}"}[whose]
        typed = {"block-what": what, "block-kind": "day", "block-reason": "Looks stolen.", "block-evidence": "x"}
        assert operator.post(url("block", acme.tenant.pk), typed).status_code == 303
        (made,) = blocks_of(acme.tenant)
        assert (made.mail_user_id, made.domain_id) == {
            "company": (None, None),
            "domain": (None, alice.domain_id),
            "mailbox": (alice.pk, None),
        }[whose]
        assert "Looks stolen." in text_of(operator.get(url("company", acme.tenant.pk)))
        assert operator.post(url("lift", made.pk), {"reason": "no"}).status_code == 422
        assert operator.post(url("lift", made.pk), {"reason": "Password changed"}).status_code == 303
        assert blocks_of(acme.tenant) == []

    def test_another_companys_mailbox_is_no_choice(self, operator, acme, alice):
        other = make_company("Other").tenant
        typed = {"block-what": f"mailbox:{alice.pk}", "block-kind": "day", "block-reason": "Looks stolen."}
        assert operator.post(url("block", other.pk), typed).status_code == 422
        assert blocks_of(acme.tenant) == []


class TestWhoMayCome:
    def test_to_others_the_office_does_not_exist(self, acme, case, stopped):
        for name, args in [
            ("cases", ()),
            ("case", (case.pk,)),
            ("companies", ()),
            ("company", (acme.tenant.pk,)),
        ]:
            assert acme.client.get(url(name, *args)).status_code == 404
            assert make_client().get(url(name, *args)).status_code == 302
        for name, args in [
            ("release", (case.pk,)),
            ("refuse", (case.pk,)),
            ("limits", (acme.tenant.pk,)),
            ("block", (acme.tenant.pk,)),
            ("lift", (stopped.pk,)),
        ]:
            assert acme.client.post(url(name, *args), {"reason": "Please now"}).status_code == 404
        assert len(blocks_of(acme.tenant)) == 1
