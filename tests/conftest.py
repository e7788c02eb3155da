"""The running stack for whole-product walks."""

from __future__ import annotations

import pytest

from tests.world import World


@pytest.fixture(scope="session")
def world() -> World:
    """The test stack that `make test` started."""
    return World()
