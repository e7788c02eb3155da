"""A domain name as one company's claim, and once proven, its property here."""

from __future__ import annotations

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from deftmail.kit.models import Stamped, Synced
from deftmail.tenants.models import Tenant


class Domain(Stamped, Synced):
    """A claimed domain. Many companies may claim a name; only one can hold it proven (`domains_one_holder`)."""

    class Status(models.TextChoices):
        PENDING = "pending", _("Pending")
        VERIFIED = "verified", _("Verified")
        ACTIVE = "active", _("Active")
        FAILED = "failed", _("Failed")

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    domain = models.CharField(max_length=253, help_text="A-labels, lower case, no trailing dot.")
    domain_unicode = models.CharField(max_length=255, help_text="U-labels, for people.")
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.PENDING)
    dkim_selector = models.CharField(max_length=63, default="default")
    dkim_public_key = models.TextField(help_text="base64 of the SubjectPublicKeyInfo: the p= of the record.")
    dkim_private_key = models.TextField(help_text="PEM, sealed to this row (kit.crypto).")
    mx_verified = models.BooleanField(default=False)
    spf_verified = models.BooleanField(default=False)
    dkim_verified = models.BooleanField(default=False)
    dmarc_verified = models.BooleanField(default=False)
    checks = models.JSONField(default=list, help_text="The last result of each check, as shown.")
    dns_records = models.JSONField(default=list, help_text="The records to publish, merged with what stands there.")
    check_count = models.IntegerField(default=0)
    next_check_at = models.DateTimeField(null=True, blank=True, db_index=True)
    last_verified_at = models.DateTimeField(null=True, blank=True, help_text="When the checks last ran.")
    ownership_proven_at = models.DateTimeField(null=True, blank=True)
    held_elsewhere_at = models.DateTimeField(
        null=True, blank=True, help_text="Our key was found, but another company holds the name."
    )
    activated_at = models.DateTimeField(null=True, blank=True)
    degraded_since = models.DateTimeField(null=True, blank=True)
    failing_looks = models.IntegerField(default=0, help_text="Looks in a row that found a break: one is not a break.")
    sending_told_at = models.DateTimeField(
        null=True, blank=True, help_text="When people were last told that the domain's sending limit is near."
    )
    check_from = models.DateTimeField(help_text="Start of the schedule of background checks; 'check again' renews it.")

    class Meta:
        db_table = "domains"
        constraints = (
            models.UniqueConstraint(fields=("tenant", "domain"), name="domains_tenant_domain"),
            models.UniqueConstraint(fields=("tenant", "id"), name="domains_tenant_id"),
            models.UniqueConstraint(
                fields=("domain",), condition=models.Q(ownership_proven_at__isnull=False), name="domains_one_holder"
            ),
        )
        indexes = (
            models.Index(fields=("tenant", "created_at"), name="idx_domains_tenant"),
            models.Index(fields=("status",), name="idx_domains_status"),
            models.Index(fields=("domain",), name="idx_domains_domain"),
        )

    def __str__(self) -> str:
        return self.domain

    @property
    def is_proven(self) -> bool:
        """Our exact DKIM key was found: mailboxes can be made."""
        return self.ownership_proven_at is not None

    @property
    def is_degraded(self) -> bool:
        """Records broke after activation, in several looks in a row. Mail is not stopped by it."""
        return self.degraded_since is not None

    @property
    def records_right(self) -> int:
        """How many of the four records were right when last seen."""
        return sum((self.mx_verified, self.spf_verified, self.dkim_verified, self.dmarc_verified))

    def get_absolute_url(self) -> str:
        return reverse("domains:detail", args=[self.pk])
