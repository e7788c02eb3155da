"""What the API takes and gives. Field descriptions are the documentation."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from ninja import Schema
from pydantic import ConfigDict, Field


class Strict(Schema):
    """A request body: an unknown member is an error, never ignored."""

    model_config = ConfigDict(extra="forbid")


class DnsRecord(Schema):
    """One record to publish."""

    purpose: Literal["mx", "spf", "dkim", "dmarc"]
    type: Literal["MX", "TXT"]
    name: str = Field(description="Fully qualified name, without a trailing dot.")
    value: str = Field(description="Unquoted and unsplit; for an MX the host.")
    priority: int | None = Field(None, description="Preference of an MX.")


class Check(Schema):
    """What one look-up found and what to do about it."""

    purpose: Literal["mx", "spf", "dkim", "dmarc"]
    state: Literal["pending", "pass", "fail", "missing", "unknown"] = Field(
        description="`pending`: not looked yet. `unknown`: DNS did not answer; not a failure."
    )
    found: list[str]
    expected: str
    code: str = Field(description="Stable name of the finding.")
    message: str
    todo: str = Field(description="What to do, in a sentence or two; empty when all is well.")
    warnings: list[str]


class DomainOut(Schema):
    id: UUID
    domain: str
    status: Literal["pending", "verified", "active", "failed"]
    ownership_proven: bool = Field(description="Our exact DKIM key was found: mailboxes can be made.")
    degraded: bool = Field(description="A record that was right broke; mail is not stopped by it.")
    provisioning: Literal["pending", "ready", "failed"]
    provisioning_error: str = ""
    dns_records: list[DnsRecord]
    checks: list[Check]
    last_checked_at: datetime | None
    created_at: datetime


class DomainIn(Strict):
    domain: str = Field(max_length=300, examples=["acme.example"])


class DomainPage(Schema):
    items: list[DomainOut]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


class MailboxOut(Schema):
    id: UUID
    email: str
    display_name: str
    status: Literal["active", "disabled", "suspended"]
    provisioning: Literal["pending", "ready", "failed"]
    provisioning_error: str = ""
    quota_mb: int | None = Field(description="MiB; null is unlimited.")
    used_quota_mb: int
    last_login_at: datetime | None
    created_at: datetime


class MailboxIn(Strict):
    email: str = Field(max_length=320)
    password: str = Field(max_length=1000, description="At most 72 bytes.")
    display_name: str = Field("", max_length=255)
    quota_mb: int | None = Field(None, ge=1, le=10_000_000, description="MiB; left out: the plan's.")


class MailboxChange(Strict):
    """Only what is given changes."""

    status: Literal["active", "disabled"] | None = None
    display_name: str | None = Field(None, max_length=255)
    quota_mb: int | None = Field(None, ge=1, le=10_000_000)


class PasswordIn(Strict):
    password: str = Field(max_length=1000, description="At most 72 bytes.")


class MailboxPage(Schema):
    items: list[MailboxOut]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


class FieldProblem(Schema):
    field: str
    detail: str


class Problem(Schema):
    """RFC 9457 problem details; every error has this shape."""

    type: str
    title: str
    status: int
    detail: str = ""
    errors: list[FieldProblem] = Field(default_factory=list)
