"""Row-level security as migration operations, and the grants of each database role.

Roles (made by the stack, docs/decisions/0001): `deftmail_owner` migrates, `deftmail_app` serves people under
row-level security, `deftmail_system` reads across companies, `deftmail_mta` is Postfix, `deftmail_backup` dumps.
"""

from __future__ import annotations

from typing import Any

from django.db.migrations.operations import RunSQL

TENANT = "(select current_setting('app.tenant')::uuid)"

# Needed before a company is known (who is this session, key or link?). Short and explicit; tested against pg_class.
TABLES_WITHOUT_POLICY = frozenset(
    {
        "users",
        "memberships",
        "pending_signups",
        "api_keys",
        "plans",
        "account_emailaddress",
        "account_emailconfirmation",
        "mfa_authenticator",
        "usersessions_usersession",
        # Django's own, of no company and unused: what a person may do is deftmail.tenants.policies.
        "auth_permission",
        "auth_group",
        "auth_group_permissions",
        "django_session",
        "django_migrations",
        "django_content_type",
        "procrastinate_jobs",
        "procrastinate_events",
        "procrastinate_periodic_defers",
        "procrastinate_workers",
        # What the mail server reported, of everybody's mail in one stream: the company is found when it is read.
        # The web may only add (`apply_grants`), jobs read as deftmail_system.
        "engine_events",
        # What operators did across companies: the web and the commands only add.
        "operator_logs",
    }
)


class EnableRLS(RunSQL):
    """Enable *and force* row-level security on `table` with one policy per role.

    `column` is the company's id (`id` on `tenants` itself). `mta=True` lets Postfix's role read.
    """

    def __init__(self, table: str, column: str = "tenant_id", *, mta: bool = False) -> None:
        self.table, self.column, self.mta = table, column, mta
        test = f"{column} = {TENANT}"
        forward: list[Any] = [
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY {table}_app ON {table} TO deftmail_app USING ({test}) WITH CHECK ({test})",
            f"CREATE POLICY {table}_system ON {table} TO deftmail_system USING (true) WITH CHECK (true)",
            f"CREATE POLICY {table}_owner ON {table} TO deftmail_owner USING (true) WITH CHECK (true)",
        ]
        backward: list[Any] = [
            f"DROP POLICY {table}_app ON {table}",
            f"DROP POLICY {table}_system ON {table}",
            f"DROP POLICY {table}_owner ON {table}",
            f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
        ]
        if mta:
            forward.append(f"CREATE POLICY {table}_mta ON {table} FOR SELECT TO deftmail_mta USING (true)")
            backward.insert(0, f"DROP POLICY {table}_mta ON {table}")
        super().__init__(sql=forward, reverse_sql=backward)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return (self.__class__.__name__, [self.table, self.column], {"mta": self.mta})


def apply_grants(cursor: Any) -> None:
    """Give each role what it needs, after migrations. Safe to repeat; runs as `deftmail_owner`."""
    cursor.execute(
        """
        GRANT USAGE ON SCHEMA public TO deftmail_app, deftmail_system, deftmail_mta, deftmail_backup;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO deftmail_app, deftmail_system;
        GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO deftmail_app, deftmail_system;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO deftmail_app, deftmail_system;
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO deftmail_backup;
        GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO deftmail_backup;
        -- The log of acts is append-only, plans are the operator's.
        REVOKE UPDATE, DELETE ON audit_logs, operator_logs FROM deftmail_app, deftmail_system;
        REVOKE INSERT, UPDATE, DELETE ON plans FROM deftmail_app;
        REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM deftmail_app, deftmail_system;
        -- Everybody's deliveries: whoever serves people adds to them and reads none.
        REVOKE SELECT, UPDATE, DELETE ON engine_events, operator_logs FROM deftmail_app;
        REVOKE ALL ON mta_domains, mta_mailboxes, mta_aliases, mta_sender_logins FROM deftmail_app;
        GRANT SELECT ON mta_domains, mta_mailboxes, mta_aliases, mta_sender_logins TO deftmail_mta;
        """
    )
