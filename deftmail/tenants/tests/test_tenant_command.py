"""The operator's commands."""

import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, transaction

from deftmail.kit.testing import GOOD_PASSWORD
from deftmail.tenants import actions, audit, selectors
from deftmail.tenants.models import ApiKey, Membership, Role, Tenant, User
from deftmail.tenants.policies import SCOPES
from deftmail.tenants.selectors import system
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
    assert audit_of(tenant, "api_access.granted")[0].actor.startswith("Operator's command (")
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
    out = io.StringIO()
    call_command("operator", "log", stdout=out)
    newest, second_line, oldest = out.getvalue().splitlines()
    assert "companies.listed  found: 2" in newest
    assert second_line.endswith(f"companies.listed  found: 1, search: {second.email}")
    assert "Operator's command (" in oldest


@pytest.mark.django_db(transaction=True, databases=["default", "system"])
def test_making_and_removing_an_operator_is_written_down_with_the_act():
    call_command(
        "operator", "create", "--email", "Opal@host.example", "--password", GOOD_PASSWORD, stdout=io.StringIO()
    )
    with pytest.raises(CommandError):
        call_command("operator", "create", "--email", "opal@host.example", "--password", GOOD_PASSWORD)
    assert sign_in(make_client(), "opal@host.example").status_code == 302
    opal = User.objects.get(email="opal@host.example")
    actions.reset_own_password(user=opal, password="copper lantern meadow fox", ip="192.0.2.9")
    call_command("operator", "remove", "--email", "opal@host.example", stdout=io.StringIO())
    removed, reset, session, created = system.operator_log(10)
    assert [(row.action, row.target) for row in (created, removed)] == [
        ("operator.created", "opal@host.example"),
        ("operator.removed", "opal@host.example"),
    ]
    assert [(row.action, row.actor) for row in (session, reset)] == [
        ("session.started", "Operator opal@host.example"),
        ("password.reset", "Operator opal@host.example"),
    ]
    assert str(reset.ip_address) == "192.0.2.9"


@pytest.mark.parametrize("statement", ["select", "update operator_logs set action = 'x'", "delete from operator_logs"])
def test_who_serves_people_adds_to_the_operators_log_and_can_do_nothing_else_to_it(statement):
    audit.record_operator("Opal", "companies.listed")
    sql = "select * from operator_logs" if statement == "select" else statement
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
