"""Mailboxes: where mail for an address goes and who may sign in to it."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models.functions import Ceil, Lower
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from deftmail.domains.models import Domain
from deftmail.kit.models import Stamped, Synced
from deftmail.mailboxes.fullness import MAIL_WAITS
from deftmail.tenants.models import Tenant, User


class MailUser(Stamped, Synced):
    """A mailbox. `password_hash` is `$2b$12$…`, what the gate checks for IMAP, submission and sign-in."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("Active")
        DISABLED = "disabled", _("Disabled")  # by the owner: no sign-in, no sending
        SUSPENDED = "suspended", _("Suspended")  # by abuse or operator: sending stops, nothing else

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    user = models.OneToOneField(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="mailbox", db_constraint=False
    )
    email = models.EmailField(max_length=254, unique=True, help_text="Lower case, A-labels.")
    display_name = models.CharField(max_length=255, blank=True)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.ACTIVE)
    status_reason = models.TextField(blank=True, default="")
    refuse_when_disabled = models.BooleanField(default=False)
    password_hash = models.CharField(max_length=60)
    quota_mb = models.IntegerField(null=True, blank=True, default=1024, help_text="MiB; null is unlimited.")
    used_bytes = models.BigIntegerField(default=0)
    used_quota_mb = models.GeneratedField(
        expression=Ceil(models.F("used_bytes") / 1048576.0), output_field=models.IntegerField(), db_persist=True
    )
    used_at = models.DateTimeField(null=True, blank=True, help_text="When usage was read from the engine.")
    full_since = models.DateTimeField(
        null=True, blank=True, help_text="Since when no room is left: mail waits a week from here, then it is refused."
    )
    quota_told = models.SmallIntegerField(default=0, help_text="Per cent of the quota its people were last told of.")
    sending_told_at = models.DateTimeField(
        null=True, blank=True, help_text="When its people were last told that a sending limit is near."
    )
    last_login_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "mail_users"
        constraints = (
            models.UniqueConstraint(fields=("tenant", "id"), name="mail_users_tenant_id"),
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="mail_users_email_lower"),
            models.CheckConstraint(
                condition=models.Q(password_hash__regex=r"^\$2b\$\d\d\$.{53}$"),  # noqa: S106 -- a form, no secret
                name="mail_users_bcrypt",
            ),
        )
        indexes = (
            models.Index(fields=("tenant", "email"), name="idx_mail_users_tenant"),
            models.Index(fields=("domain", "email"), name="idx_mail_users_domain"),
        )

    def __str__(self) -> str:
        return self.email

    @property
    def quota_bytes(self) -> int | None:
        """The room it has; None is unlimited."""
        return None if self.quota_mb is None else self.quota_mb * 1024 * 1024

    @property
    def is_full(self) -> bool:
        """Whether no more mail fits, by the last measurement."""
        return self.quota_bytes is not None and self.used_bytes >= self.quota_bytes

    @property
    def refused_from(self) -> datetime | None:
        """From when mail for a full mailbox is refused; until then it waits at its sender's server."""
        return self.full_since + MAIL_WAITS if self.full_since is not None else None

    def get_absolute_url(self) -> str:
        return reverse("mailboxes:detail", args=[self.pk])
