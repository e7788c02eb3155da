"""What the supervisor must know about one server."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from deftmail.stack.probes import Probe


def _nothing() -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class Service:
    """One child of the supervisor.

    `prepare` runs before each start (configuration, first-time files); `bootstrap` runs once the probe has passed and
    before anything that comes `after` it starts. A service with `once` is a command that must exit with 0.
    """

    name: str
    argv: tuple[str, ...]
    probe: Probe = _nothing
    after: tuple[str, ...] = ()
    user: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = _nothing
    bootstrap: Callable[[], None] = _nothing
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    once: bool = False
