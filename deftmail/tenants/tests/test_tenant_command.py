"""The operator's commands."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from deftmail.kit.testing import GOOD_PASSWORD
from deftmail.tenants import selectors
from deftmail.tenants.models import ApiKey, Membership, Role, Tenant, User
from deftmail.tenants.policies import SCOPES
from deftmail.tenants.testing import audit_of, make_client, make_company, sign_in

pytestmark = pytest.mark.django_db

CREATE = ["--company", "Acme", "--owner-email", "Olive@acme.example", "--password", GOOD_PASSWORD]


def run(*arguments):
    out = io.StringIO()
    call_command("tenant", *arguments, stdout=out)
    return out.getvalue()


def test_create_prints_exactly_the_two_names_and_the_key_works():
    printed = json.loads(run("create", *CREATE, "--plan", "starter", "--json"))
    assert list(printed) == ["tenant_id", "api_key"]
    key = selectors.api_key(printed["api_key"])
    assert key is not None
    assert str(key.tenant_id) == printed["tenant_id"]
    assert set(key.scopes) == set(SCOPES)
    member = Membership.objects.get(tenant_id=key.tenant_id)
    assert (member.user.email, member.role) == ("olive@acme.example", Role.OWNER)
    assert sign_in(make_client(), "olive@acme.example").status_code == 302
    tenant = Tenant(pk=key.tenant_id)
    assert [row.action for row in audit_of(tenant)][:4] == [
        "company.created",
        "plan.applied",
        "api_access.granted",
        "api_key.created",
    ]
    assert audit_of(tenant, "api_access.granted")[0].actor == "Operator's command"
    assert printed["api_key"] not in str([row.details for row in audit_of(tenant)])


def test_the_password_may_come_by_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(GOOD_PASSWORD + "\n"))
    run("create", "--company", "Acme", "--owner-email", "olive@acme.example", "--password-stdin")
    assert User.objects.get(email="olive@acme.example").check_password(GOOD_PASSWORD)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([*CREATE, "--plan", "gold"], "there is no plan 'gold'"),
        ([*CREATE[:-1], "password1234"], "leaked"),
        ([*CREATE[:2], "--owner-email", "olive", *CREATE[4:]], "not an email address"),
        (["--company", " ", *CREATE[2:]], "company_name"),
    ],
)
def test_bad_input_makes_nothing(arguments, sentence):
    with pytest.raises(CommandError, match=sentence):
        run("create", *arguments)
    assert not User.objects.exists()
    assert not ApiKey.objects.exists()


def test_an_address_that_is_taken_makes_nothing():
    make_company("Before", "olive@acme.example")
    with pytest.raises(CommandError, match="account with this address"):
        run("create", *CREATE)
    assert Membership.objects.count() == 1


@pytest.mark.django_db(transaction=True, databases=["default", "system"])
def test_list_reads_across_companies():
    first, second = make_company("Acme", plan="starter"), make_company("Other")
    rows = [json.loads(line) for line in run("list", "--json").splitlines()]
    assert [(row["company"], row["plan"], row["status"]) for row in rows] == [
        ("Acme", "starter", "active"),
        ("Other", "business", "active"),
    ]
    assert rows[0]["tenant_id"] == str(first.tenant.pk)
    assert [json.loads(line)["company"] for line in run("list", "--json", "--search", second.email).splitlines()] == [
        "Other"
    ]
    assert "Acme" in run("list")
