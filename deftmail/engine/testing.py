"""Helpers of tests in every room that meets the engine. A pytest plugin (see conftest.py)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deftmail.engine.drivers.fake.driver import FakeEngine
from deftmail.engine.registry import use_engine
from deftmail.engine.specimens import CHEAP_HASH, dkim_key, domain_spec, mailbox_spec, private_key

__all__ = ["CHEAP_HASH", "FakeEngine", "dkim_key", "domain_spec", "fake_engine", "mailbox_spec", "private_key"]


@pytest.fixture
def fake_engine() -> Iterator[FakeEngine]:
    """An engine in memory in the place of the real one; `fake_engine.fail(...)` breaks it."""
    fake = FakeEngine()
    with use_engine(fake):
        yield fake
