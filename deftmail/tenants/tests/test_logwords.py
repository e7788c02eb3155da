"""An act of the log as people read it."""

from __future__ import annotations

from typing import Any

import pytest

from deftmail.tenants.browsers import browser_words
from deftmail.tenants.logwords import Change, LogLine, acts_called
from deftmail.tenants.models import AuditLog

LINUX = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"


def changes(action: str, **details: Any) -> list[Change]:
    return LogLine(AuditLog(action=action, details=details), {"starter": "Starter", "business": "Business"}).changes


def test_what_changed_is_named_as_on_the_pages_and_what_did_not_is_left_out() -> None:
    row = AuditLog(
        action="mailbox.created",
        details={
            "before": {"name": "Same"},
            "after": {"name": "Same", "quota_mb": 10240, "display_name": "Anna"},
            "joined": False,
            "agent": LINUX,
        },
    )
    line = LogLine(row)
    assert line.act == "Mailbox created"
    assert [(change.name, change.before, change.after) for change in line.changes] == [
        ("Storage", "", "10 GB"),
        ("Display name", "", "Anna"),
        ("Browser", "", "Chrome on Linux"),
    ]
    assert line.changes[-1].title == LINUX


def test_a_first_plan_is_one_line_and_a_later_one_says_what_it_changes() -> None:
    nothing = {"plan_id": "starter", "max_domains": None, "api_access": False, "trial_ends_at": None}
    trial = {**nothing, "max_domains": 1, "trial_ends_at": "2026-12-09 07:12:43.088260+00:00"}
    assert changes("plan.applied", before=nothing, after=trial) == [
        ("Plan", "", "Starter", ""),
        ("Trial ends", "", "9 December 2026, 07:12", ""),
    ]
    later = {**trial, "plan_id": "business", "max_domains": 5, "trial_ends_at": None}
    assert changes("plan.applied", before=trial, after=later) == [
        ("Plan", "Starter", "Business", ""),
        ("Domains", "1", "5", ""),
        ("Trial ends", "9 December 2026, 07:12", "none", ""),
    ]


def test_values_are_words() -> None:
    assert changes("api_key.created", scopes=["domains:read", "gone:read"], expires_on="2027-11-25") == [
        ("May", "", "Read domains and their records; gone:read", ""),
        ("Expires", "", "25 November 2027", ""),
    ]
    assert changes("mailbox.changed", before={"quota_mb": 1024}, after={"quota_mb": None})[0].after == "unlimited"
    assert changes("domain.verified", before={"status": "pending"}, after={"status": "verified"}) == [
        ("Status", "Pending", "Verified", "")
    ]
    assert changes("a.b", block="7a6f", person="0c1d", odd_at="soon", odd_on="2026-02-31") == [
        ("Odd at", "", "soon", ""),
        ("Odd on", "", "2026-02-31", ""),
    ]


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (LINUX, "Chrome on Linux"),
        (LINUX + " Edg/131.0.0.0", "Edge on Linux"),
        (f"{MAC} Version/18.1 Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0", "Firefox on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/131.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.5.0", "curl"),
        ("", ""),
    ],
)
def test_a_browser_in_two_words(agent: str, words: str) -> None:
    assert browser_words(agent) == words


def test_an_act_is_found_by_its_phrase() -> None:
    assert acts_called("signed IN") == ["session.started"]
    assert "password.changed" in acts_called("password c")
