"""`deftmail stack up` and `down`: the same supervisor without a terminal."""

import shutil
import subprocess
import sys
import time

from deftmail.stack import processes, status
from deftmail.stack.errors import StackError
from deftmail.stack.paths import Layout, prepare_var
from deftmail.stack.run import START_SECONDS, Options, announce, say, sole
from deftmail.stack.site import Site
from deftmail.stack.supervisor import log_tail, rotate

STOP_SECONDS = 90.0


def up(options: Options) -> int:
    """Start in the background; returns 0 once everything answers, 1 with the end of the log where it does not."""
    layout = Layout.of(prepare_var(options.var))
    layout.make()
    site = Site.load(layout.var)
    pid_file = status.supervisor_pid_file(site)
    if pid_file.owned() is not None:
        say("running already")
        return _wait_ready(site, None, 0)
    log = layout.log("supervisor")
    rotate(log)
    command = [sys.executable, "-m", "deftmail.stack", "run", "--var", str(layout.var)]
    if options.mode is not None:
        command += ["--mode", options.mode]
    if not options.demo:
        command.append("--no-demo")
    if options.only:
        command += ["--only", ",".join(options.only)]
    before = log.stat().st_size if log.exists() else 0
    with log.open("ab") as stream:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True, cwd=layout.var
        )
    return _wait_ready(site, child, before)


def _wait_ready(site: Site, child: "subprocess.Popen[bytes] | None", since: int) -> int:
    deadline = time.monotonic() + START_SECONDS + 60
    pid_file = status.supervisor_pid_file(site)
    while time.monotonic() < deadline:
        running = status.load_running(site) if pid_file.owned() is not None else None
        if running is not None and running.ready:
            announce(Site.load(site.layout.var))
            return 0
        if child is not None and child.poll() is not None:
            break
        if child is None and pid_file.owned() is None:
            break
        time.sleep(0.1)
    print(log_tail(site.layout.log("supervisor"), lines=60, since=since), file=sys.stderr)
    raise StackError(f"the stack did not start; see {site.layout.logs}")


def down(options: Options) -> int:
    """Stop a stack, also what a killed supervisor left. Returns 0 when nothing of it runs any more."""
    layout = Layout.of(options.var)
    if not layout.pids.is_dir():
        say("nothing runs")
        return 0
    leader = status.supervisor_pid_file(Site.load(layout.var)).owned()
    if leader is not None:
        processes.send([leader.pid], 15)
        if processes.wait_gone([leader.pid], STOP_SECONDS):
            processes.send([leader.pid], 9)
            processes.wait_gone([leader.pid], 5)
    with sole(layout):
        ended = processes.end_leftovers(layout.pids, layout.name)
        (layout.pids / "running.json").unlink(missing_ok=True)
        shutil.rmtree(layout.run, ignore_errors=True)
    say(f"stopped; ended by pid file: {', '.join(ended)}" if ended else "stopped")
    return 0
