from django.db import migrations

from deftmail.kit.rls import EnableRLS


class Migration(migrations.Migration):
    dependencies = [("api", "0001_initial"), ("tenants", "0002_row_security")]

    operations = [EnableRLS("idempotency_keys")]
