"""An act of the log as people read it."""

from __future__ import annotations

from deftmail.tenants.logwords import LogLine
from deftmail.tenants.models import AuditLog


def test_what_changed_is_named_as_on_the_pages_and_what_did_not_is_left_out() -> None:
    row = AuditLog(
        action="mailbox.created",
        details={
            "before": {"name": "Same"},
            "after": {"name": "Same", "quota_mb": 10240, "display_name": "Anna"},
            "joined": False,
            "agent": "curl/8",
        },
    )
    line = LogLine(row)
    assert line.act == "Mailbox created"
    assert line.changes == [
        ("Storage", "none", "10240 MB"),
        ("Display name", "none", "Anna"),
        ("Browser", "", "curl/8"),
    ]
