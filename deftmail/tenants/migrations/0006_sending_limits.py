"""Limits per hour, per minute and of first-time recipients, with the defaults of every plan and company there is."""

from django.db import migrations, models
from django.db.models import F, IntegerField
from django.db.models.functions import Greatest

_MINUTE = 60


def set_defaults(apps, schema_editor):
    """Half the day, but at least 50; 60 a minute. What is unlimited a day stays so."""
    for name in ("Plan", "Tenant"):
        rows = apps.get_model("tenants", name).objects.using(schema_editor.connection.alias)
        half = Greatest(F("recipients_per_mailbox_day") / 2, 50, output_field=IntegerField())
        limited = rows.filter(recipients_per_mailbox_day__isnull=False)
        limited.update(recipients_per_mailbox_hour=half, first_recipients_per_day=half)
        rows.update(recipients_per_minute=_MINUTE)


def _columns(model):
    return [
        migrations.AddField(model, "recipients_per_mailbox_hour", models.IntegerField(null=True, blank=True)),
        migrations.AddField(
            model,
            "recipients_per_minute",
            models.IntegerField(null=True, blank=True, help_text="Burst of one mailbox."),
        ),
        migrations.AddField(
            model,
            "first_recipients_per_day",
            models.IntegerField(
                null=True,
                blank=True,
                help_text="Of one mailbox: recipients it has never written to (a stolen account's mark).",
            ),
        ),
    ]


class Migration(migrations.Migration):
    dependencies = [("tenants", "0005_sessions_and_pending_addresses")]

    operations = [*_columns("plan"), *_columns("tenant"), migrations.RunPython(set_defaults, migrations.RunPython.noop)]
