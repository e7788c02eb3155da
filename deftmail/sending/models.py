"""Blocks, and the mirror of sending counters: what Redis holds, in rows that outlive it."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

from deftmail.domains.models import Domain
from deftmail.kit.models import Stamped
from deftmail.mailboxes.models import MailUser
from deftmail.tenants.models import Tenant, User


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


class Block(Stamped):
    """Sending stopped for one mailbox, one domain, or (neither named) the whole company; nothing else is.

    The lock charter: it names its reason, shows what was seen and the way out, and ends by itself or by a review.
    """

    class Kind(models.TextChoices):
        HOUR = "hour", _("1 hour")
        DAY = "day", _("24 hours")
        REVIEW = "review", _("Until review")

    class Source(models.TextChoices):
        OPERATOR = "operator", _("Operator")
        SIGNAL = "signal", _("Signal")

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    mail_user = models.ForeignKey(
        MailUser, on_delete=models.CASCADE, null=True, blank=True, related_name="+", db_constraint=False
    )
    domain = models.ForeignKey(
        Domain, on_delete=models.CASCADE, null=True, blank=True, related_name="+", db_constraint=False
    )
    kind = models.CharField(max_length=10, choices=Kind.choices)
    source = models.CharField(max_length=10, choices=Source.choices, default=Source.OPERATOR)
    reason = models.CharField(max_length=300, help_text="One sentence, shown to everybody it stops.")
    evidence = models.TextField(blank=True, default="", help_text="What was seen; shown to the company's owner.")
    way_out = models.TextField(blank=True, default="", help_text="What to do; empty: the usual words.")
    # Whoever set it is staff, not a member of the company: a name outlives the row of a person.
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_by_name = models.CharField(max_length=255, blank=True, default="")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True, help_text="Null: until somebody has looked at it.")
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by_name = models.CharField(max_length=255, blank=True, default="")
    lift_reason = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        db_table = "sending_blocks"
        ordering = ("-starts_at",)
        constraints = (
            models.UniqueConstraint(fields=("tenant", "id"), name="sending_blocks_tenant_id"),
            models.CheckConstraint(
                condition=models.Q(mail_user__isnull=True) | models.Q(domain__isnull=True),
                name="sending_blocks_one_subject",
            ),
            models.CheckConstraint(
                condition=models.Q(kind="review", ends_at__isnull=True)
                | (~models.Q(kind="review") & models.Q(ends_at__isnull=False)),
                name="sending_blocks_end_by_kind",
            ),
        )
        indexes = (
            models.Index(
                fields=("tenant",), name="idx_sending_blocks_open", condition=models.Q(lifted_at__isnull=True)
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.reason}"

    def is_active_at(self, moment: datetime) -> bool:
        """Whether it stops sending at this moment."""
        return self.lifted_at is None and self.starts_at <= moment and (self.ends_at is None or moment < self.ends_at)

    @property
    def subject_email(self) -> str:
        """The mailbox's address or the domain's name; empty for the whole company."""
        if self.mail_user is not None:
            return self.mail_user.email
        return self.domain.domain if self.domain is not None else ""


class ReviewCase(Stamped):
    """A company asks a person of ours to look: at a block (`appeal`), or for more than its limits allow (`more`)."""

    class Kind(models.TextChoices):
        APPEAL = "appeal", _("Appeal")
        MORE = "more", _("Request for more")

    class State(models.TextChoices):
        OPEN = "open", _("Waiting")
        RELEASED = "released", _("Granted")
        REFUSED = "refused", _("Refused")

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    block = models.ForeignKey(
        Block, on_delete=models.CASCADE, null=True, blank=True, related_name="+", db_constraint=False
    )
    mail_user = models.ForeignKey(
        MailUser, on_delete=models.CASCADE, null=True, blank=True, related_name="+", db_constraint=False
    )
    wanted = models.IntegerField(null=True, blank=True, help_text="Recipients a day from one mailbox, when asked for.")
    text = models.TextField(help_text="Why, in the company's words.")
    opened_by = models.CharField(max_length=255, help_text="Who asked, in words that outlive the person's row.")
    answer = models.TextField(blank=True, default="", help_text="What the company is told.")
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=255, blank=True, default="")

    class Meta:
        db_table = "review_cases"
        ordering = ("-created_at",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(kind="appeal", block__isnull=False) | models.Q(kind="more", block__isnull=True),
                name="review_cases_appeal_names_block",
            ),
            models.CheckConstraint(
                condition=models.Q(state="open", decided_at__isnull=True)
                | (~models.Q(state="open") & models.Q(decided_at__isnull=False)),
                name="review_cases_decided",
            ),
            models.UniqueConstraint(
                fields=("block",), condition=models.Q(state="open"), name="review_cases_one_open_per_block"
            ),
            models.UniqueConstraint(
                fields=("tenant",),
                condition=models.Q(state="open", kind="more"),
                name="review_cases_one_open_request",
            ),
        )
        indexes = (models.Index(fields=("state", "created_at"), name="idx_review_cases_queue"),)

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.opened_by}"

    @property
    def is_open(self) -> bool:
        """Whether it still waits for a person."""
        return self.state == self.State.OPEN
