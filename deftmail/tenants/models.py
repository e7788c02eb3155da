"""Companies, their people, plans, keys and the log of acts."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower
from django.utils.crypto import salted_hmac
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from deftmail.kit.models import Stamped


class Plan(models.Model):
    """What can be bought. Data, not code: an operator edits the rows. Null means unlimited."""

    slug = models.SlugField(primary_key=True, max_length=50)
    name = models.CharField(max_length=100)
    price_cents = models.IntegerField(null=True, blank=True, help_text="US cents a month; null: by agreement.")
    open_for_signup = models.BooleanField(default=False)
    rank = models.IntegerField(default=0)
    max_domains = models.IntegerField(null=True, blank=True)
    max_mailboxes = models.IntegerField(null=True, blank=True)
    max_users_per_domain = models.IntegerField(null=True, blank=True)
    mailbox_quota_mb = models.IntegerField(null=True, blank=True)
    recipients_per_mailbox_day = models.IntegerField(null=True, blank=True)
    recipients_per_domain_day = models.IntegerField(null=True, blank=True)
    recipients_per_mailbox_hour = models.IntegerField(null=True, blank=True)
    recipients_per_minute = models.IntegerField(null=True, blank=True, help_text="Burst of one mailbox.")
    first_recipients_per_day = models.IntegerField(
        null=True, blank=True, help_text="Of one mailbox: recipients it has never written to (a stolen account's mark)."
    )
    api_access = models.BooleanField(default=False)
    support = models.CharField(max_length=200, blank=True)

    class Meta:
        db_table = "plans"
        ordering = ("rank",)

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    """Looks people up by address, whatever its case."""

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser):
    """A person who signs in: an owner, an admin, or the person of a mailbox. One password for all of it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(max_length=254, unique=True)
    name = models.CharField(max_length=255, blank=True)
    is_active = models.BooleanField(default=True)
    is_operator = models.BooleanField(default=False, help_text="Staff of the installation, not of a company.")
    recovery_email = models.EmailField(max_length=254, blank=True)
    recovery_email_verified_at = models.DateTimeField(null=True, blank=True)
    former_email = models.EmailField(
        max_length=254,
        blank=True,
        default="",
        db_index=True,
        help_text="Sign-in address lost to the company that proved its domain: he must choose another (displaced.py).",
    )
    terms_version = models.CharField(max_length=20, blank=True)
    privacy_version = models.CharField(max_length=20, blank=True)
    terms_accepted_at = models.DateTimeField(null=True, blank=True)
    timezone = models.CharField(max_length=64, default="UTC")
    timezone_chosen = models.BooleanField(
        default=False, help_text="By himself; else `timezone` is what his browser said when he last signed in."
    )
    date_joined = models.DateTimeField(default=now)
    email_pending = models.EmailField(max_length=254, blank=True, help_text="New sign-in address, not proven yet.")
    recovery_pending = models.EmailField(max_length=254, blank=True, help_text="New recovery address, not proven yet.")
    session_epoch = models.IntegerField(default=1, help_text="Grows to end every session of the person at once.")

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()

    class Meta:
        db_table = "users"
        constraints = (models.CheckConstraint(condition=models.Q(email=Lower("email")), name="users_email_lower"),)

    def __str__(self) -> str:
        return self.email

    def _get_session_auth_hash(self, secret: Any = None) -> str:
        # Stands in each session and is compared at each request: a new password or epoch ends all of them.
        return salted_hmac(
            "deftmail.tenants.session", f"{self.password}|{self.session_epoch}", secret=secret, algorithm="sha256"
        ).hexdigest()

    @property
    def shown_email(self) -> str:
        """The address he knows himself by and signs in with, also where it is no longer his (`former_email`)."""
        return self.former_email or self.email

    def get_full_name(self) -> str:
        return self.name or self.shown_email

    def get_short_name(self) -> str:
        return self.name.split(" ")[0] if self.name else self.shown_email


class Tenant(Stamped):
    """A company. The ceilings are its own, copied from its plan and changed by an operator; null is unlimited."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("Active")
        SUSPENDED = "suspended", _("Suspended")
        CANCELLED = "cancelled", _("Cancelled")

    company_name = models.CharField(max_length=255)
    owner_email = models.EmailField(max_length=254, unique=True)
    owner_name = models.CharField(max_length=255, blank=True)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, db_column="plan", related_name="+")
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.ACTIVE)
    status_reason = models.TextField(blank=True, default="")
    max_domains = models.IntegerField(null=True, blank=True)
    max_mailboxes = models.IntegerField(null=True, blank=True)
    max_users_per_domain = models.IntegerField(null=True, blank=True)
    mailbox_quota_mb = models.IntegerField(null=True, blank=True)
    recipients_per_mailbox_day = models.IntegerField(null=True, blank=True)
    recipients_per_domain_day = models.IntegerField(null=True, blank=True)
    recipients_per_mailbox_hour = models.IntegerField(null=True, blank=True)
    recipients_per_minute = models.IntegerField(null=True, blank=True, help_text="Burst of one mailbox.")
    first_recipients_per_day = models.IntegerField(
        null=True, blank=True, help_text="Of one mailbox: recipients it has never written to (a stolen account's mark)."
    )
    api_access = models.BooleanField(default=False)
    api_access_granted = models.BooleanField(default=False, help_text="By an operator, whatever the plan.")
    trial_ends_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "tenants"

    def __str__(self) -> str:
        return self.company_name


class Role(models.TextChoices):
    """What a person may do in the company; see `policies.py`."""

    OWNER = "owner", _("Owner")
    ADMIN = "admin", _("Admin")
    USER = "user", _("User")


class Membership(models.Model):
    """A person belongs to one company. Read before a company is known, so it has no row policy."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="membership")
    role = models.CharField(max_length=10, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "memberships"
        constraints = (models.UniqueConstraint(fields=("tenant", "user"), name="memberships_tenant_user"),)

    def __str__(self) -> str:
        return f"{self.user_id} {self.role}"


class PendingSignup(models.Model):
    """A sign-up whose address is not proven: it reserves nothing and becomes rows only by its link."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    token_hash = models.CharField(max_length=64, unique=True)
    email = models.EmailField(max_length=254, db_index=True)
    company_name = models.CharField(max_length=255)
    owner_name = models.CharField(max_length=255)
    password = models.CharField(max_length=128)
    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="+")
    terms_version = models.CharField(max_length=20)
    privacy_version = models.CharField(max_length=20)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "pending_signups"

    def __str__(self) -> str:
        return self.email


class Scope(models.TextChoices):
    """What a key may be given; see `policies.py` for what each allows."""

    DOMAINS_READ = "domains:read", _("Read domains and their records")
    DOMAINS_WRITE = "domains:write", _("Add, check and delete domains")
    MAILBOXES_READ = "mailboxes:read", _("Read mailboxes")
    MAILBOXES_WRITE = "mailboxes:write", _("Create, change and delete mailboxes")


def scope_words(scopes: Iterable[str]) -> list[str]:
    """Scopes in words; one that is no longer given out as it is kept."""
    words = dict(Scope.choices)
    return [str(words.get(scope, scope)) for scope in scopes]


class ApiKey(models.Model):
    """A bearer key of the API, kept as a SHA-256 (192 bits of entropy need no slow hash)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=24)
    key_hash = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=50), default=list)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "api_keys"
        indexes = (models.Index(fields=("tenant", "created_at"), name="api_keys_tenant"),)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"

    @property
    def may(self) -> list[str]:
        """Its scopes in words."""
        return scope_words(self.scopes)


class AuditLog(models.Model):
    """One act: who, from where, what, before and after. Append-only for every runtime role."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    # The composite key to memberships (migration 0002) nulls this column, and only this, when the person leaves.
    user = models.ForeignKey(
        User, on_delete=models.DO_NOTHING, null=True, blank=True, related_name="+", db_constraint=False
    )
    actor = models.CharField(max_length=255, help_text="Who, in words that outlive the person's row.")
    action = models.CharField(max_length=100)
    target_type = models.CharField(max_length=50, blank=True)
    target_id = models.UUIDField(null=True, blank=True)
    target = models.CharField(max_length=320, blank=True, help_text="The object's name at that time.")
    details = models.JSONField(default=dict)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "audit_logs"
        indexes = (
            models.Index(fields=("tenant", "-created_at", "-id"), name="idx_audit_logs_tenant"),
            models.Index(fields=("tenant", "target_id"), name="idx_audit_logs_target"),
        )

    def __str__(self) -> str:
        return f"{self.actor} {self.action}"


class OperatorLog(models.Model):
    """One act of an operator that is no one company's: what he did or read across them. Append-only.

    What he does in one company stands in that company's own log.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    actor = models.CharField(max_length=255)
    action = models.CharField(max_length=100)
    target = models.CharField(max_length=320, blank=True)
    details = models.JSONField(default=dict)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        db_table = "operator_logs"

    def __str__(self) -> str:
        return f"{self.actor} {self.action}"
