"""The supervisor process: `deftmail stack run`."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deftmail.stack import catalogue, files, processes, status
from deftmail.stack.errors import StackError
from deftmail.stack.memory import Claims, Memory
from deftmail.stack.paths import Layout, prepare_var
from deftmail.stack.services import own
from deftmail.stack.site import Site
from deftmail.stack.supervisor import Supervisor

START_SECONDS = 240.0  # a first start on a slow machine: initdb, migrations, demo


@dataclass(frozen=True)
class Options:
    """What to run. `mode` None keeps the mode of the last start."""

    var: Path
    mode: Literal["local", "test"] | None = None
    demo: bool = True
    only: Sequence[str] = ()


def say(sentence: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {sentence}", flush=True)


@contextlib.contextmanager
def sole(layout: Layout) -> Iterator[None]:
    """Hold the stack's lock. Raises StackError where another supervisor holds it."""
    with (layout.pids / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(f"this stack is running already: deftmail stack down --var {layout.var}") from None
        yield


def run(options: Options) -> int:
    """Start everything and stay until SIGINT or SIGTERM. Returns the exit status."""
    layout = Layout.of(prepare_var(options.var))
    layout.make()
    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: interrupted.set())
    with sole(layout):
        ended = processes.end_leftovers(layout.pids, layout.name)
        if ended:
            say(f"ended what a killed supervisor had left: {', '.join(ended)}")
        with contextlib.closing(Claims()) as claims:
            site = _remember(layout, options, claims)
            return _keep(site, options, interrupted)


def _remember(layout: Layout, options: Options, claims: Claims) -> Site:
    memory = Memory.load(layout.var)
    if options.mode is not None:
        memory.mode = options.mode
    changed = memory.settle_ports(layout.name.rpartition("-")[2], claims)
    if changed:
        say(f"another program took the port of: {', '.join(changed)}")
    memory.save(layout.var)
    site = Site.load(layout.var)
    site.write_environment()
    return site


def _keep(site: Site, options: Options, interrupted: threading.Event) -> int:
    layout = site.layout
    services = catalogue.services(site, options.only)
    running = status.Running(services=[one.name for one in services if not one.once])
    pid_file = status.supervisor_pid_file(site)
    pid_file.write(os.getpid())
    supervisor = Supervisor(layout, services, say, adopting=True)
    try:
        _publish(site, running)
        supervisor.start()
        if supervisor.wait_ready(START_SECONDS, interrupted):
            if options.demo and not options.only:
                _make_demo(site)
            announce(site)
            running.ready = True
            _publish(site, running)
            while not interrupted.wait(2):
                supervisor.reap()
        return 0
    except StackError as error:
        running.failure = str(error)
        _publish(site, running)
        print(f"deftmail: {error}", file=sys.stderr, flush=True)
        return 1
    finally:
        say("stopping")
        supervisor.stop()
        if running.failure is None:
            (layout.pids / "running.json").unlink(missing_ok=True)
        pid_file.remove()
        shutil.rmtree(layout.run, ignore_errors=True)
        say("stopped")


def _publish(site: Site, running: status.Running) -> None:
    files.write(site.layout.pids / "running.json", running.model_dump_json() + "\n")


def announce(site: Site) -> None:
    """Print addresses and the demo's sign-in."""
    print(status.table(status.status(site)), flush=True)
    path = demo_file(site)
    if path.exists():
        print(f"{'demo':12} {sign_in(path.read_text(), site.base_url)}", flush=True)


def sign_in(printed: str, url: str) -> str:
    """What a newcomer does with the demo, from what `deftmail demo` printed; the port may have moved since."""
    demo = json.loads(printed)
    people = " or ".join(demo["mailboxes"])
    return f"sign in at {url} as {demo['owner']} (console), {people} (webmail); password {demo['password']}"


def demo_file(site: Site) -> Path:
    return site.layout.var / "demo.json"


def _make_demo(site: Site) -> None:
    """At the first start; its sign-in is remembered. A demo that fails is no reason not to run."""
    if demo_file(site).exists():
        return
    say("making the demo company")
    printed = own.demo(site)
    if printed is None:
        say(f"the demo was not made, see {site.layout.log('demo')}")
    elif printed.strip():
        files.write(demo_file(site), printed.strip() + "\n", 0o600, site.owner)
