"""What the API takes and gives. The descriptions here are its documentation."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from ninja import Schema
from pydantic import AfterValidator, ConfigDict, Field

Purpose = Literal["mx", "spf", "dkim", "dmarc"]
Provisioning = Literal["pending", "ready", "failed"]


def _without_controls(text: str) -> str:
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise ValueError("control characters and half characters are not allowed here")
    return text


Text = Annotated[str, AfterValidator(_without_controls)]
"""A line of text: PostgreSQL holds neither NUL nor half a surrogate pair (JSON can name one), and a control character
in a name is a slip or an attack."""
Name = Annotated[str, Field(max_length=255), AfterValidator(_without_controls)]
Megabytes = Annotated[int, Field(strict=True, ge=1, le=10_000_000)]
"""Strict: `true` is no size of 1 MiB."""

ProvisioningField = Annotated[
    Provisioning,
    Field(description="Whether the mail engine has it: `pending` (on its way), `ready`, or `failed`."),
]
ProvisioningError = Annotated[str, Field(description="Why provisioning failed; it is retried by itself.")]
NextCursor = Annotated[str | None, Field(description="Cursor of the next page; null on the last.")]


class Strict(Schema):
    """A request body: an unknown member is an error, never ignored."""

    model_config = ConfigDict(extra="forbid")


class DnsRecord(Schema):
    """One record to publish. SPF and DMARC records that stand there already are merged into `value`."""

    purpose: Purpose
    type: Literal["MX", "TXT"]
    name: str = Field(description="Fully qualified name, without a trailing dot.")
    value: str = Field(description="Unquoted and unsplit; of an MX record the host.")
    priority: int | None = Field(None, description="Preference of an MX record; null for the others.")


class Check(Schema):
    """What one look-up found and what to do about it."""

    purpose: Purpose
    state: Literal["pending", "pass", "fail", "missing", "unknown"] = Field(
        description="`pending`: not looked yet. `unknown`: the DNS did not answer, which is not a failure."
    )
    found: list[str] = Field(description="The records that stand there.")
    expected: str
    code: str = Field(description="Stable name of the finding.")
    message: str = Field(description="The finding in a sentence.")
    todo: str = Field(description="What to do, in a sentence or two; empty when all is well.")
    warnings: list[str]


class DomainOut(Schema):
    """A domain, the records to publish and what was found of them."""

    id: UUID
    domain: str = Field(description="A-labels, lower case.", examples=["acme.example"])
    status: Literal["pending", "verified", "active", "failed"] = Field(
        description="`pending` until all four checks pass, then `verified`, and `active` (open for mail) once the mail "
        "engine is configured. `failed`: ownership was not proven within 7 days; verify again to revive it."
    )
    ownership_proven: bool = Field(description="Exactly our DKIM key was found: mailboxes can be made.")
    degraded: bool = Field(description="A record that was right is broken now. Mail is not stopped by it.")
    provisioning: ProvisioningField
    provisioning_error: ProvisioningError = ""
    dns_records: list[DnsRecord]
    checks: list[Check]
    last_checked_at: datetime | None
    created_at: datetime


class DomainIn(Strict):
    """A domain to add."""

    domain: Text = Field(
        max_length=300,
        description="The name in either spelling of an internationalised one. Subdomains are domains of their own.",
        examples=["acme.example"],
    )


class DomainPage(Schema):
    """A page of domains, by name."""

    items: list[DomainOut]
    next: NextCursor


class MailboxOut(Schema):
    """A mailbox."""

    id: UUID
    email: str = Field(description="Lower case; the domain in A-labels.", examples=["anna@acme.example"])
    display_name: str
    status: Literal["active", "disabled", "suspended"] = Field(
        description="`disabled` by you: no sign-in, no sending. `suspended` by the operator: sending is stopped."
    )
    provisioning: ProvisioningField
    provisioning_error: ProvisioningError = ""
    quota_mb: int | None = Field(description="MiB; null is unlimited.")
    used_quota_mb: int = Field(description="MiB in use, rounded up, as last read from the mail engine.")
    last_login_at: datetime | None
    created_at: datetime


class MailboxIn(Strict):
    """A mailbox to make."""

    email: Text = Field(max_length=320, examples=["anna@acme.example"])
    password: str = Field(max_length=1000, description="At most 72 bytes of UTF-8; weak and leaked ones are refused.")
    display_name: Name | None = Field(None, description="The name beside the address in what is sent.")
    quota_mb: Megabytes | None = Field(None, description="MiB; left out or null: the plan's.")


class MailboxChange(Strict):
    """What is given changes, the rest stays."""

    status: Literal["active", "disabled"] | None = Field(
        None, description="`disabled`: no sign-in and no sending; incoming mail is kept. Null changes nothing."
    )
    display_name: Name | None = Field(None, description="Null or empty: none.")
    quota_mb: Megabytes | None = Field(None, description="MiB; null: the plan's.")


class PasswordIn(Strict):
    """A new password."""

    password: str = Field(max_length=1000, description="At most 72 bytes of UTF-8; weak and leaked ones are refused.")


class MaySend(Schema):
    """Whether a message may leave now."""

    allowed: bool
    detail: str = Field(description="Why not, in one sentence that says what to do; empty when allowed.")
    limit: str = Field(description="The limit that refuses; empty where it is none of them, a block for example.")
    used: int
    maximum: int
    frees_at: datetime | None = Field(description="When the limit has room; null where waiting does not help.")


class MailboxPage(Schema):
    """A page of mailboxes, by address."""

    items: list[MailboxOut]
    next: NextCursor


class FieldProblem(Schema):
    """One member of the request that cannot be used."""

    field: str = Field(description="Name of the member of the body, the query parameter or the header.")
    detail: str


class Problem(Schema):
    """RFC 9457 problem details: the shape of every error. Further members belong to the code (`limit`, `reason` …)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(
        description="A page that explains the problem; its last part is the stable code.",
        examples=["https://mail.example/docs/problems/domain-invalid"],
    )
    title: str
    status: int
    detail: str = Field(description="What happened this time, in a sentence for a person.")
    errors: list[FieldProblem] = Field(default_factory=list, description="Which members of the request are wrong.")
