"""Row-level security of the company's own rows, and the log's key that forgets a person without losing the company."""

from django.db import migrations

from deftmail.kit.rls import EnableRLS


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_initial")]

    operations = [
        EnableRLS("tenants", "id", mta=True),
        EnableRLS("audit_logs"),
        # SET NULL names its column: plain SET NULL on a composite key would null tenant_id too.
        migrations.RunSQL(
            """ALTER TABLE audit_logs ADD CONSTRAINT audit_logs_user_fk FOREIGN KEY (tenant_id, user_id)
               REFERENCES memberships (tenant_id, user_id) ON DELETE SET NULL (user_id)""",
            "ALTER TABLE audit_logs DROP CONSTRAINT audit_logs_user_fk",
        ),
    ]
