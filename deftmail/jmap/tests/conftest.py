"""Fixtures of more than one test module of this room."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deftmail.jmap.tests.sockets import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """The fake behind a real socket."""
    server = Engine(str(tmp_path / "s"))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.goes_on.set()
    server.shutdown()
    server.server_close()
