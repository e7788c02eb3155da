"""Row-level security, composite keys (a mailbox's domain and person are its own company's), and Postfix's views."""

from django.db import migrations

from deftmail.kit.rls import EnableRLS

# Views run as their owner, whom the forced policies of migration 0002 of each room let read; Postfix's role reads
# only the views. A tenant that is cancelled for good is erased, so its rows are simply not there.
VIEWS = """
CREATE VIEW mta_domains AS
    SELECT d.domain FROM domains d WHERE d.status = 'active';

CREATE VIEW mta_mailboxes AS
    SELECT m.email AS address FROM mail_users m JOIN domains d ON d.tenant_id = m.tenant_id AND d.id = m.domain_id
    WHERE d.status = 'active' AND m.synced_at IS NOT NULL;

CREATE VIEW mta_aliases AS
    SELECT NULL::text AS address, NULL::text AS destination WHERE false;

-- Every ready mailbox whatever its state: who owns an address is asked here, whether he may send now is the gate's
-- answer, with a sentence that says why.
CREATE VIEW mta_sender_logins AS
    SELECT m.email AS address, m.email AS login FROM mail_users m WHERE m.synced_at IS NOT NULL;
"""


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "0001_initial"), ("domains", "0002_row_security")]

    operations = [
        EnableRLS("mail_users", mta=True),
        migrations.RunSQL(
            """ALTER TABLE mail_users ADD CONSTRAINT mail_users_domain_fk FOREIGN KEY (tenant_id, domain_id)
               REFERENCES domains (tenant_id, id) ON DELETE CASCADE""",
            "ALTER TABLE mail_users DROP CONSTRAINT mail_users_domain_fk",
        ),
        migrations.RunSQL(
            """ALTER TABLE mail_users ADD CONSTRAINT mail_users_user_fk FOREIGN KEY (tenant_id, user_id)
               REFERENCES memberships (tenant_id, user_id) ON DELETE SET NULL (user_id)""",
            "ALTER TABLE mail_users DROP CONSTRAINT mail_users_user_fk",
        ),
        migrations.RunSQL(VIEWS, "DROP VIEW mta_sender_logins, mta_aliases, mta_mailboxes, mta_domains"),
    ]
