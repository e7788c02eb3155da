from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0007_operator_logs")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="timezone_chosen",
            field=models.BooleanField(
                default=False,
                help_text="By himself; else `timezone` is what his browser said when he last signed in.",
            ),
        ),
        # Until now a zone other than the default was always chosen.
        migrations.RunSQL(
            "UPDATE users SET timezone_chosen = true WHERE timezone <> 'UTC'", reverse_sql=migrations.RunSQL.noop
        ),
    ]
