"""By which names this installation answers."""

from __future__ import annotations

import pytest
from django.test import Client


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("localhost:8000", True),
        ("127.0.0.1:8000", True),
        ("[::1]:8000", True),
        ("rebound.evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
    ],
)
def test_a_strange_name_that_points_here_is_answered_nothing(host: str, answered: bool) -> None:
    status = Client(headers={"host": host}).get("/legal/terms").status_code
    assert (status == 200) is answered
    assert status in (200, 400)
