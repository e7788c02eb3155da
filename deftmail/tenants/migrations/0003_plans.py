"""The plans of the price page. An operator edits the rows afterwards; this runs once."""

from django.db import migrations

# slug, name, cents, open, domains, mailboxes, per domain, quota MiB, per mailbox/day, per domain/day, API, support
PLANS = (
    ("free", "Free", 0, False, 1, 5, 5, 1024, 50, 250, False, ""),
    ("starter", "Starter", 900, True, 1, 10, 25, 10240, 300, 1500, False, "First answer within one working day"),
    ("business", "Business", 2900, True, 5, 50, 100, 51200, 1000, 5000, True, "First answer within 4 working hours"),
    ("enterprise", "Enterprise", None, False, None, None, None, None, None, None, True, "First answer within one hour"),
)


def add_plans(apps, schema_editor):
    plan = apps.get_model("tenants", "Plan")
    for rank, row in enumerate(PLANS):
        slug, name, cents, is_open, domains, mailboxes, per_domain, quota, per_mailbox, per_name, api, support = row
        plan.objects.using(schema_editor.connection.alias).get_or_create(
            slug=slug,
            defaults={
                "name": name,
                "price_cents": cents,
                "open_for_signup": is_open,
                "rank": rank,
                "max_domains": domains,
                "max_mailboxes": mailboxes,
                "max_users_per_domain": per_domain,
                "mailbox_quota_mb": quota,
                "recipients_per_mailbox_day": per_mailbox,
                "recipients_per_domain_day": per_name,
                "api_access": api,
                "support": support,
            },
        )


class Migration(migrations.Migration):
    dependencies = [("tenants", "0002_row_security")]

    operations = [migrations.RunPython(add_plans, migrations.RunPython.noop)]
