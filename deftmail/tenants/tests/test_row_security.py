"""The wall between companies, asked of PostgreSQL itself as the role that serves people."""

import uuid

import pytest
from django.db import DatabaseError, IntegrityError, ProgrammingError, connection, transaction

from deftmail.kit.rls import TABLES_WITHOUT_POLICY
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants import audit
from deftmail.tenants.models import AuditLog, Tenant
from deftmail.tenants.testing import audit_of

pytestmark = pytest.mark.django_db

# Read before a company is known: who is this session, which company's is this key?
KNOWN_BEFORE_THE_COMPANY = {"memberships", "api_keys"}


def rows(sql, *params):
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def tables_with_policy():
    found = rows(
        "select relname from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace order by 1"
    )
    return [name for (name,) in found if name not in TABLES_WITHOUT_POLICY]


def test_the_suite_runs_under_row_security():
    ((who, is_super, bypasses),) = rows(
        "select rolname, rolsuper, rolbypassrls from pg_roles where rolname = current_user"
    )
    assert (who, is_super, bypasses) == ("deftmail_app", False, False)


def test_every_table_forces_row_security_or_is_on_the_short_list():
    states = rows(
        """select c.relname, c.relrowsecurity and c.relforcerowsecurity,
                  (select count(*) from pg_policy p where p.polrelid = c.oid)
           from pg_class c where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace"""
    )
    assert {"tenants", "domains", "mail_users", "rate_limits", "audit_logs"} <= {name for name, _, _ in states}
    for name, forced, policies in states:
        if name not in TABLES_WITHOUT_POLICY:
            assert forced, f"{name}: row security is not enabled and forced"
            assert policies, f"{name}: no policy"
    with_company = {
        name
        for (name,) in rows(
            """select table_name from information_schema.columns join pg_class on relname = table_name
               where table_schema = 'public' and column_name = 'tenant_id' and relkind in ('r', 'p')"""
        )
    }
    assert with_company & TABLES_WITHOUT_POLICY == KNOWN_BEFORE_THE_COMPANY


def test_every_policy_of_the_serving_role_compares_the_company_and_errors_without_one():
    policies = rows(
        "select tablename, cmd, qual, with_check from pg_policies where 'deftmail_app' = any(roles) order by 1"
    )
    assert {name for name, *_ in policies} == set(tables_with_policy())
    for name, command, qual, check in policies:
        column = "id" if name == "tenants" else "tenant_id"
        for text in (qual, check):
            assert command == "ALL"
            # Two-argument current_setting() would answer NULL: an empty page instead of an error.
            assert f"({column} = ( SELECT (current_setting('app.tenant'::text))::uuid" in text, f"{name}: {text}"


def test_views_of_tenant_tables_are_not_readable_by_the_serving_role():
    readable = rows(
        """select relname from pg_class where relkind in ('v', 'm') and relnamespace = 'public'::regnamespace
           and has_table_privilege('deftmail_app', oid, 'SELECT')
           and not coalesce('security_invoker=true' = any(reloptions), false)"""
    )
    assert readable == []


def test_foreign_keys_between_tenant_tables_carry_the_company():
    """Foreign-key checks ignore row security, so a key without the company could point at another's row."""
    guarded = set(tables_with_policy()) | KNOWN_BEFORE_THE_COMPANY
    keys = rows(
        """select c.conname, c.conrelid::regclass::text, c.confrelid::regclass::text,
                  array(select attname::text from pg_attribute where attrelid = c.conrelid and attnum = any(c.conkey))
           from pg_constraint c where c.contype = 'f' and c.connamespace = 'public'::regnamespace"""
    )
    checked = 0
    for name, source, target, columns in keys:
        if source in guarded and target in guarded - {"tenants"}:
            assert "tenant_id" in columns, f"{name} on {source} points at {target} without the company"
            checked += 1
    assert checked >= 3


def test_a_query_without_a_company_is_an_error_not_an_empty_page(cast):
    with tenant_tx(cast.acme.pk):
        audit.record(cast.owner.actor, "some.act")
    # Tables that hold rows here; of every other one the policy's text says the same (above).
    for name in ("tenants", "audit_logs"):
        with pytest.raises(DatabaseError), transaction.atomic():
            rows(f'select 1 from "{name}" limit 1')


def test_one_company_cannot_read_anothers_rows(cast):
    with tenant_tx(cast.other.pk):
        audit.record(cast.stranger.actor, "secret.act")
    with tenant_tx(cast.acme.pk):
        assert [tenant.pk for tenant in Tenant.objects.all()] == [cast.acme.pk]
        assert not AuditLog.objects.filter(action="secret.act").exists()
        assert not AuditLog.objects.filter(tenant_id=cast.other.pk).exists()


def test_one_company_cannot_write_into_another(cast):
    with tenant_tx(cast.acme.pk):
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            AuditLog.objects.create(tenant_id=cast.other.pk, actor="x", action="forged")
        assert Tenant.objects.filter(pk=cast.other.pk).update(company_name="Stolen") == 0
        own = Tenant.objects.get(pk=cast.acme.pk)
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            Tenant.objects.filter(pk=own.pk).update(id=uuid.uuid4())
    with tenant_tx(cast.other.pk):
        assert Tenant.objects.get(pk=cast.other.pk).company_name == "Other"


def test_a_row_cannot_name_a_person_of_another_company(cast):
    with tenant_tx(cast.acme.pk), pytest.raises(IntegrityError, match="audit_logs_user_fk"), transaction.atomic():
        AuditLog.objects.create(tenant_id=cast.acme.pk, user_id=cast.stranger.user.pk, actor="x", action="forged")


@pytest.mark.parametrize(
    "statement", ["update audit_logs set action = 'x'", "delete from audit_logs", "truncate audit_logs"]
)
def test_the_log_is_append_only(cast, statement):
    with tenant_tx(cast.acme.pk):
        audit.record(cast.owner.actor, "some.act")
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            rows(statement)
    assert [row.action for row in audit_of(cast.acme)] == ["some.act"]


def test_a_person_who_leaves_stays_named_in_the_log(cast):
    with tenant_tx(cast.acme.pk):
        audit.record(cast.admin.actor, "some.act")
        cast.admin.user.delete()
    (row,) = audit_of(cast.acme)
    assert (row.tenant_id, row.user_id, row.actor) == (cast.acme.pk, None, cast.admin.email)


def company_now():
    return rows("select current_setting('app.tenant', true)")[0][0]


def test_a_nested_company_gives_way_to_the_outer_one(cast):
    with tenant_tx(cast.acme.pk):
        with tenant_tx(cast.other.pk):
            assert company_now() == str(cast.other.pk)
        assert company_now() == str(cast.acme.pk)
        with pytest.raises(ZeroDivisionError), tenant_tx(cast.other.pk):
            _ = 1 / 0
        assert company_now() == str(cast.acme.pk)
    assert not company_now()


def test_a_pooled_connection_forgets_the_company_after_commit(cast):
    with tenant_tx(cast.acme.pk):
        pass
    with pytest.raises(DatabaseError), transaction.atomic():
        list(Tenant.objects.all())
