"""The pages: what they show, what they refuse, and that a stranger finds nothing."""

from __future__ import annotations

import html

import pytest
from django.urls import reverse

from deftmail.domains.testing import make_domain
from deftmail.kit.conf import conf
from deftmail.kit.passwords import verify_password
from deftmail.kit.tenancy import tenant_tx
from deftmail.kit.testing import GOOD_PASSWORD
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.testing import make_mailbox, make_mailbox_person, reload
from deftmail.tenants.models import Tenant, User
from deftmail.tenants.passwords import StrengthValidator
from deftmail.tenants.testing import set_columns

pytestmark = pytest.mark.django_db
NEW_PASSWORD = "tin harbour velvet moss"
POSTS = ("change", "password", "disable", "enable", "retry")


@pytest.fixture
def domain(cast):
    return make_domain(cast.acme, "acme.test", active=True)


@pytest.fixture
def alice(cast, domain):
    return make_mailbox_person(cast.acme, domain, "alice", display_name="Alice Adams")[1]


def text_of(response):
    return response.content.decode()


def url(name, *args):
    return reverse(f"mailboxes:{name}", args=args)


class TestTheList:
    def test_before_a_domain_is_proven_it_says_what_comes_first(self, cast):
        assert "A domain comes first" in text_of(cast.owner.client.get(url("list")))

    def test_empty_it_offers_the_next_act(self, cast, domain):
        page = text_of(cast.owner.client.get(url("list")))
        assert "No mailboxes yet" in page
        assert url("add") in page

    def test_shows_address_name_state_and_storage(self, cast, alice):
        page = text_of(cast.admin.client.get(url("list")))
        for words in ("alice@acme.test", "Alice Adams", "Active", "1 GB", "1 of the 50 mailboxes"):
            assert words in page

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("q=ali", ["alice@acme.test"]),
            ("q=Brown", ["bob@acme.test"]),
            ("q=acme", ["alice@acme.test", "bob@acme.test"]),
            ("q=nobody", []),
            ("status=disabled", ["bob@acme.test"]),
            ("status=pending", ["carl@second.test"]),
            ("domain=second.test", ["carl@second.test"]),
            ("domain=unknown.test", ["alice@acme.test", "bob@acme.test", "carl@second.test"]),
            ("sort=-address", ["carl@second.test", "bob@acme.test", "alice@acme.test"]),
            ("sort=nonsense", ["alice@acme.test", "bob@acme.test", "carl@second.test"]),
            ("q=%00", ["alice@acme.test", "bob@acme.test", "carl@second.test"]),
        ],
    )
    def test_searches_filters_and_sorts(self, cast, domain, alice, query, expected):
        make_mailbox(domain, "bob", display_name="Bob Brown", status="disabled")
        make_mailbox(make_domain(cast.acme, "second.test", active=True), "carl", ready=False)
        response = cast.owner.client.get(f"{url('list')}?{query}")
        assert [row.mailbox.email for row in response.context["rows"]] == expected

    def test_finds_an_internationalised_domain_by_either_spelling(self, cast):
        domain = make_domain(cast.acme, "xn--bcher-kva.test", active=True, domain_unicode="bücher.test")
        make_mailbox(domain, "alice")
        for query in ("bücher.test", "alice@bücher.test", "xn--bcher", "bücher", "BÜCH", "ce@büc", "@bücher"):
            response = cast.owner.client.get(url("list"), {"q": query})
            assert [row.address for row in response.context["rows"]] == ["alice@bücher.test"]

    def test_pages(self, cast, domain):
        for _number in range(26):
            make_mailbox(domain)
        assert len(cast.owner.client.get(url("list")).context["rows"]) == 25
        assert len(cast.owner.client.get(url("list"), {"page": 2}).context["rows"]) == 1
        assert len(cast.owner.client.get(url("list"), {"page": "x"}).context["rows"]) == 25

    def test_takes_the_same_queries_however_long(self, cast, domain, django_assert_max_num_queries):
        for _number in range(20):
            make_mailbox(domain)
        cast.owner.client.get(url("list"))
        with django_assert_max_num_queries(16):
            cast.owner.client.get(url("list"))

    def test_shows_a_stranger_nothing(self, cast, alice):
        page = text_of(cast.stranger.client.get(url("list")))
        assert "alice" not in page

    def test_is_not_for_plain_users_and_guests(self, cast, guest, domain):
        assert cast.user.client.get(url("list")).status_code == 403
        assert guest.get(url("list")).status_code == 302


class TestCreating:
    def post(self, person, **values):
        form = {"email": "alice", "domain": "acme.test", "password": GOOD_PASSWORD, "display_name": "", "quota_mb": ""}
        return person.client.post(url("add"), {**form, **values})

    def test_leads_to_the_mailboxs_page(self, cast, domain):
        response = self.post(cast.owner, display_name="Alice")
        with tenant_tx(cast.acme.pk):
            mailbox = MailUser.objects.get()
        assert (response.status_code, response["Location"]) == (303, mailbox.get_absolute_url())
        assert (mailbox.email, mailbox.display_name, mailbox.quota_mb) == ("alice@acme.test", "Alice", 51200)

    def test_takes_a_whole_address(self, cast, domain):
        assert self.post(cast.owner, email="alice@acme.test").status_code == 303

    @pytest.mark.parametrize(
        ("values", "field", "words"),
        [
            ({"email": ""}, "email", "Enter the part before the @"),
            ({"email": "alice+x"}, "email", "cannot contain +"),
            ({"email": "alice@other.test"}, "email", "not one of your domains"),
            ({"domain": "other.test"}, "domain", "valid choice"),
            ({"password": "password1234"}, "password", "leaked"),
            ({"password": ""}, "password", "Enter a password"),
            ({"password": "ü" * 40}, "password", "72"),
            ({"quota_mb": "999999"}, "quota_mb", "51200"),
            ({"quota_mb": "1e9"}, "quota_mb", "whole number"),
        ],
    )
    def test_says_on_the_field_what_is_wrong_and_keeps_the_rest(self, cast, domain, values, field, words):
        response = self.post(cast.owner, display_name="Alice", **values)
        assert response.status_code == 422
        assert words in " ".join(response.context["form"].errors[field])
        assert 'value="Alice"' in text_of(response)
        with tenant_tx(cast.acme.pk):
            assert not MailUser.objects.exists()

    def test_never_sends_a_typed_password_back(self, cast, domain):
        assert NEW_PASSWORD not in text_of(self.post(cast.owner, email="", password=NEW_PASSWORD))

    def test_says_all_that_is_wrong_at_once(self, cast, domain, alice):
        taken = self.post(cast.owner, email="alice", password="short").context["form"]
        assert set(taken.errors) == {"email", "password"}
        malformed = self.post(cast.owner, email="", password="short", quota_mb="x").context["form"]
        assert set(malformed.errors) == {"email", "password", "quota_mb"}

    def test_keeps_the_password_it_suggested_while_the_form_is_put_right(self, cast, domain):
        suggestion = cast.owner.client.get(url("add")).context["form"]["suggestion"].value()
        again = self.post(cast.owner, email="", password=suggestion, suggestion=suggestion)
        assert again.context["form"]["suggestion"].value() == suggestion
        assert str(StrengthValidator().get_help_text()) in html.unescape(text_of(again)), "the rule stays to be read"
        assert f'name="password" value="{suggestion}"' in text_of(again)
        own = text_of(self.post(cast.owner, email="", password=NEW_PASSWORD, suggestion=suggestion))
        assert f'data-copy="{suggestion}"' in own
        assert NEW_PASSWORD not in own

    def test_an_owner_joins_his_own_address_without_a_password(self, cast):
        make_domain(cast.acme, "acme-signup.example", active=True)
        assert "Leave it empty for" in text_of(cast.owner.client.get(url("add")))
        other = self.post(cast.owner, email="bob", domain="acme-signup.example", password="")
        assert "at least 10" in text_of(other)
        response = self.post(cast.owner, email="olive", domain="acme-signup.example", password="")
        page = text_of(cast.owner.client.get(response["Location"]))
        assert "shares your own password" in page
        assert "Name a recovery address" in page

    def test_says_whose_password_stays_wherever_one_is_typed(self, cast):
        """An admin makes the owner's mailbox, types a password, and must not believe that it counts."""
        make_domain(cast.acme, "acme-signup.example", active=True)
        page = text_of(cast.admin.client.get(url("add")))
        assert "Leave it empty for adam@acme-signup.example, olive@acme-signup.example" in page
        assert "what is typed here is not used" in page
        assert "stan@other-signup.example" not in page
        typed = {"domain": "acme-signup.example", "password": NEW_PASSWORD}
        response = self.post(cast.admin, email="olive", **typed)
        assert "Its person keeps the password he signs in with" in text_of(cast.admin.client.get(response["Location"]))
        with tenant_tx(cast.acme.pk):
            mailbox = MailUser.objects.get(email="olive@acme-signup.example")
        assert not verify_password(NEW_PASSWORD, mailbox.password_hash)
        assert verify_password(GOOD_PASSWORD, mailbox.password_hash)
        self.post(cast.owner, email="adam", domain="acme-signup.example", password="")
        with tenant_tx(cast.acme.pk):
            adams = MailUser.objects.get(email="adam@acme-signup.example")
        assert "signs in to this console with the same password" in text_of(
            cast.owner.client.get(url("detail", adams.pk))
        )

    def test_says_so_at_the_ceiling(self, cast, domain, alice):
        set_columns(cast.acme, max_mailboxes=1)
        for page in (text_of(self.post(cast.owner, email="bob")), text_of(cast.owner.client.get(url("add")))):
            assert f"mailbox, and it is in use. Delete it, or write to {conf.support_email}" in page
        assert 'name="email"' not in page

    def test_in_a_suspended_company_is_refused(self, cast, domain):
        set_columns(cast.acme, status=Tenant.Status.SUSPENDED)
        assert self.post(cast.owner).status_code == 403


class TestOnePage:
    def test_shows_facts_and_mail_program_settings(self, cast, alice):
        page = text_of(cast.admin.client.get(alice.get_absolute_url()))
        for words in ("alice@acme.test", "Set up a mail program", "SSL/TLS", "STARTTLS"):
            assert words in page
        for address in (conf.imaps, conf.imap, conf.submissions, conf.submission):
            assert f'data-copy="{address.rpartition(":")[2]}"' in page
        assert alice.password_hash not in page

    def test_while_provisioning_it_asks_for_its_living_part(self, cast, domain):
        mailbox = make_mailbox(domain, "bob", ready=False)
        page = text_of(cast.admin.client.get(mailbox.get_absolute_url()))
        assert "Provisioning" in page
        assert "every 4s" in page
        part = text_of(cast.admin.client.get(mailbox.get_absolute_url(), headers={"HX-Request": "true"}))
        assert part.strip().startswith('<div id="mailbox-live"')
        assert "<html" not in part

    def test_says_that_mail_flows_only_where_it_does(self, cast, domain, alice):
        flows = "Mail arrives and leaves.<"
        assert flows in text_of(cast.admin.client.get(alice.get_absolute_url()))
        waiting = make_mailbox(make_domain(cast.acme, "new.test", proven=True), "nina")
        broken = make_mailbox(make_domain(cast.acme, "old.test", active=True, mx_verified=False), "otto")
        fresh = make_mailbox(domain, "finn", ready=False)
        for mailbox, said in (
            (waiting, "as soon as all four DNS records of new.test are right"),
            (broken, "may go elsewhere until its MX record is right again"),
            (fresh, "once the mail server has set it up"),
        ):
            page = text_of(cast.admin.client.get(mailbox.get_absolute_url()))
            assert said in page
            assert flows not in page

    def test_when_ready_it_no_longer_asks(self, cast, alice):
        assert "every 4s" not in text_of(cast.admin.client.get(alice.get_absolute_url()))

    def test_a_failure_says_why_and_can_be_retried(self, cast, domain):
        mailbox = make_mailbox(domain, "bob", sync_state="failed", sync_error="The mail server refuses this.")
        page = text_of(cast.admin.client.get(mailbox.get_absolute_url()))
        assert "The mail server refuses this." in page
        assert cast.admin.client.post(url("retry", mailbox.pk)).status_code == 303
        assert reload(mailbox).sync_state == "pending"

    def test_name_and_size_are_changed(self, cast, alice):
        values = {"change-display_name": "Alice A.", "change-quota_mb": "2048"}
        assert cast.admin.client.post(url("change", alice.pk), values).status_code == 303
        assert (reload(alice).display_name, reload(alice).quota_mb) == ("Alice A.", 2048)

    def test_a_size_over_the_plan_is_refused_on_its_field(self, cast, alice):
        response = cast.admin.client.post(url("change", alice.pk), {"change-quota_mb": "60000"})
        assert response.status_code == 422
        assert "51200" in text_of(response)

    def test_a_password_is_set(self, cast, alice):
        assert cast.admin.client.post(url("password", alice.pk), {"reset-password": NEW_PASSWORD}).status_code == 303
        assert verify_password(NEW_PASSWORD, reload(alice).password_hash)

    def test_a_poor_password_is_refused_on_its_field(self, cast, alice):
        response = cast.admin.client.post(url("password", alice.pk), {"reset-password": "password1234"})
        assert response.status_code == 422
        assert "leaked" in text_of(response)

    def test_disabled_keeping_or_refusing_and_enabled(self, cast, alice):
        for choice, refuse in (("refuse", True), ("keep", False)):
            cast.admin.client.post(url("disable", alice.pk), {"disable-incoming": choice})
            assert (reload(alice).status, reload(alice).refuse_when_disabled) == ("disabled", refuse)
        cast.admin.client.post(url("enable", alice.pk))
        assert reload(alice).status == "active"

    def test_a_suspension_is_explained_and_not_lifted_here(self, cast, domain):
        mailbox = make_mailbox(domain, "bob", status="suspended", status_reason="Reported as spam")
        page = text_of(cast.admin.client.get(mailbox.get_absolute_url()))
        assert "Reported as spam" in page
        assert url("enable", mailbox.pk) not in page
        assert cast.admin.client.post(url("enable", mailbox.pk)).status_code == 409

    def test_deleted_by_typing_its_address(self, cast, alice):
        page = text_of(cast.admin.client.get(url("delete", alice.pk)))
        assert "All of its mail is destroyed" in page
        wrong = cast.admin.client.post(url("delete", alice.pk), {"confirm": "alice"})
        assert wrong.status_code == 422
        assert reload(alice).status == "active"
        right = cast.admin.client.post(url("delete", alice.pk), {"confirm": "alice@acme.test"})
        assert (right.status_code, right["Location"]) == (303, url("list"))
        with tenant_tx(cast.acme.pk):
            assert not MailUser.objects.exists()

    @pytest.mark.parametrize(
        "typed", ["alice@bücher.test", "ALICE@BÜCHER.test", "alice@bu\u0308cher.test", "alice@xn--bcher-kva.test"]
    )
    def test_an_international_address_may_be_typed_in_either_spelling(self, cast, typed):
        domain = make_domain(cast.acme, "xn--bcher-kva.test", active=True, domain_unicode="bücher.test")
        alice = make_mailbox(domain, "alice")
        assert "Type alice@bücher.test to confirm" in text_of(cast.admin.client.get(url("delete", alice.pk)))
        assert cast.admin.client.post(url("delete", alice.pk), {"confirm": typed}).status_code == 303
        with tenant_tx(cast.acme.pk):
            assert not MailUser.objects.exists()


class TestWhoMay:
    @pytest.mark.parametrize("name", ["detail", "delete"])
    def test_a_stranger_gets_404(self, cast, alice, name):
        assert cast.stranger.client.get(url(name, alice.pk)).status_code == 404

    @pytest.mark.parametrize("name", [*POSTS, "delete"])
    def test_a_stranger_changes_nothing(self, cast, alice, name):
        values = {
            "change-quota_mb": "1",
            "reset-password": NEW_PASSWORD,
            "disable-incoming": "keep",
            "confirm": alice.email,
        }
        before = reload(alice)
        assert cast.stranger.client.post(url(name, alice.pk), values).status_code == 404
        after = reload(alice)
        assert (after.updated_at, after.password_hash) == (before.updated_at, before.password_hash)

    @pytest.mark.parametrize("name", POSTS)
    def test_reading_changes_nothing(self, cast, alice, name):
        assert cast.owner.client.get(url(name, alice.pk)).status_code == 405

    def test_an_admin_is_refused_on_the_owners_mailbox(self, cast, domain):
        owners = make_mailbox(domain, "olive", person=cast.owner.user)
        values = {"reset-password": NEW_PASSWORD}
        assert cast.admin.client.post(url("password", owners.pk), values).status_code == 403
        assert verify_password(GOOD_PASSWORD, reload(owners).password_hash)


def test_people_who_only_use_mail_programs_have_signed_in(cast, domain):
    person, _mailbox = make_mailbox_person(cast.acme, domain, "pam", last_login_at="2026-03-01T12:00Z")
    User.objects.filter(pk=person.user.pk).update(last_login=None)
    member = reverse("tenants:member", args=[person.user.membership.pk])
    for page in (reverse("tenants:people") + "?q=pam", member):
        assert "2026-03-01T12:00" in text_of(cast.owner.client.get(page))
    User.objects.filter(pk=person.user.pk).update(last_login="2026-04-01T12:00Z")
    assert "2026-04-01T12:00" in text_of(cast.owner.client.get(member)), "the newest of both"
