from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0003_plans")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="former_email",
            field=models.EmailField(
                blank=True,
                db_index=True,
                default="",
                help_text=(
                    "Sign-in address lost to the company that proved its domain: he must choose another (displaced.py)."
                ),
                max_length=254,
            ),
        ),
    ]
