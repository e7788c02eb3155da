from django.db import migrations

from deftmail.kit.rls import EnableRLS


class Migration(migrations.Migration):
    dependencies = [("sending", "0001_initial"), ("mailboxes", "0002_row_security")]

    operations = [
        EnableRLS("rate_limits"),
        migrations.RunSQL(
            """ALTER TABLE rate_limits ADD CONSTRAINT rate_limits_mail_user_fk FOREIGN KEY (tenant_id, mail_user_id)
               REFERENCES mail_users (tenant_id, id) ON DELETE CASCADE""",
            "ALTER TABLE rate_limits DROP CONSTRAINT rate_limits_mail_user_fk",
        ),
        migrations.RunSQL(
            """ALTER TABLE rate_limits ADD CONSTRAINT rate_limits_domain_fk FOREIGN KEY (tenant_id, domain_id)
               REFERENCES domains (tenant_id, id) ON DELETE CASCADE""",
            "ALTER TABLE rate_limits DROP CONSTRAINT rate_limits_domain_fk",
        ),
    ]
