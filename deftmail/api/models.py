"""What makes a repeated POST safe."""

from __future__ import annotations

from django.db import models

from deftmail.kit.models import Stamped
from deftmail.tenants.models import Tenant


class IdempotencyKey(Stamped):
    """The answer given to one `Idempotency-Key` of one company, kept a day: the same request gets it again."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=64, help_text="SHA-256 of method, path and body.")
    status = models.IntegerField(null=True, help_text="Null while the first request runs.")
    body = models.JSONField(null=True)

    class Meta:
        db_table = "idempotency_keys"
        constraints = (models.UniqueConstraint(fields=("tenant", "key"), name="idempotency_keys_tenant_key"),)
