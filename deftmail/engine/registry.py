"""Which engine this process speaks to. The only place that knows the drivers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from deftmail.engine.conformance.sending import SendingWorld
from deftmail.engine.conformance.world import World
from deftmail.engine.observed import ObservedEngine
from deftmail.engine.port import MailEngine
from deftmail.kit.conf import conf

_lock = threading.Lock()
_engine: MailEngine | None = None


def build(name: str) -> MailEngine:
    """A new engine of that name, configured by the settings, observed. Raises ValueError for an unknown name."""
    if name == "cyrus":
        from deftmail.engine.drivers.cyrus.driver import CyrusEngine

        return ObservedEngine(CyrusEngine.from_conf())
    if name == "stalwart":
        from deftmail.engine.drivers.stalwart.driver import StalwartEngine

        return ObservedEngine(StalwartEngine.from_conf())
    if name == "fake":
        from deftmail.engine.drivers.fake.driver import FakeEngine

        return ObservedEngine(FakeEngine())
    raise ValueError(f"no engine driver is called {name!r}")


def world_of(name: str) -> World:
    """A new engine of that name (`.engine`) with what the conformance suite needs around it."""
    if name == "cyrus":
        from deftmail.engine.drivers.cyrus.world import CyrusWorld

        return CyrusWorld(build(name))
    if name == "fake":
        from deftmail.engine.drivers.fake.driver import FakeEngine
        from deftmail.engine.drivers.fake.world import FakeWorld

        fake = FakeEngine()
        return FakeWorld(ObservedEngine(fake), fake)
    if name == "stalwart-fake":
        from deftmail.engine.drivers.stalwart.fake.world import fake_world

        return fake_world()
    raise ValueError(f"no engine driver is called {name!r}")


def stalwart_world(
    url: str, admin: str, *, smtp: str, imap: str | None, sink: str | None, listen: str | None
) -> SendingWorld:
    """A world on the Stalwart at `url`, prepared with its administrator (`user:password`). `finish` undoes that.

    Raises EngineError when the server cannot be prepared, ValueError for what is not HOST:PORT or no address of ours.
    """
    from deftmail.engine.drivers.stalwart.scaffold import real_world

    return real_world(url, admin, smtp=smtp, imap=imap, sink=sink, listen=listen)


def engine() -> MailEngine:
    """The engine of this process, made at the first call (`DEFTMAIL_ENGINE`)."""
    global _engine
    with _lock:
        if _engine is None:
            _engine = build(conf.engine)
        return _engine


@contextmanager
def use_engine(driver: MailEngine) -> Iterator[MailEngine]:
    """Put `driver` in place for a block, in every thread; gives the observed engine. For tests and commands."""
    global _engine
    observed = driver if isinstance(driver, ObservedEngine) else ObservedEngine(driver)
    with _lock:
        before, _engine = _engine, observed
    try:
        yield observed
    finally:
        with _lock:
            _engine = before
