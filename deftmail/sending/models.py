"""The mirror of sending counters: what Redis holds, in rows that outlive it."""

from __future__ import annotations

from django.db import models

from deftmail.domains.models import Domain
from deftmail.kit.models import Stamped
from deftmail.mailboxes.models import MailUser
from deftmail.tenants.models import Tenant


class RateLimit(Stamped):
    """One counter in one hour: `current_count` recipients of `limit_type` since `hour`, by the mailbox or domain."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    mail_user = models.ForeignKey(
        MailUser, on_delete=models.CASCADE, null=True, blank=True, related_name="+", db_constraint=False
    )
    domain = models.ForeignKey(
        Domain, on_delete=models.CASCADE, null=True, blank=True, related_name="+", db_constraint=False
    )
    limit_type = models.CharField(max_length=50)
    hour = models.DateTimeField(help_text="Start of the hour the count belongs to (UTC).")
    current_count = models.IntegerField(default=0)
    max_limit = models.IntegerField()
    reset_at = models.DateTimeField(help_text="When this hour leaves the rolling window.")

    class Meta:
        db_table = "rate_limits"
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "mail_user", "domain", "limit_type", "hour"),
                name="rate_limits_one_per_hour",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=models.Q(mail_user__isnull=False) ^ models.Q(domain__isnull=False),
                name="rate_limits_one_subject",
            ),
        )
        indexes = (
            models.Index(fields=("mail_user", "hour"), name="idx_rate_limits_user"),
            models.Index(fields=("reset_at",), name="idx_rate_limits_reset"),
        )
