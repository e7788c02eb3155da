"""Where the stack keeps its files.

Service accounts (postgres, cyrus, knot, …) must be able to walk down to the data folder. `/root` and new homes are
0700 on Debian, so where they cannot, the folder becomes a link to `/var/lib/deftmail/<hash of its path>`. Sockets live
in `/run/deftmail-<hash>`, because a Unix socket's path holds 107 bytes at most.
"""

import hashlib
import os
import shutil
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from deftmail.stack.errors import StackError

CHECKOUT = Path(__file__).resolve().parents[2]
STATE = Path("/var/lib/deftmail")
RUN = Path("/run")
SOCKET_PATH_LIMIT = 107  # sun_path is 108 bytes with its closing NUL (unix(7))


def digest(path: Path) -> str:
    """Ten hex digits that name a data folder on this machine."""
    return hashlib.sha256(str(path).encode()).hexdigest()[:10]


def reachable_by_others(folder: Path) -> bool:
    """Whether an account that owns nothing here may walk down to `folder` (search permission on each ancestor)."""
    steps = [step for step in (folder, *folder.parents) if step.exists()]
    return all(step.stat().st_mode & stat.S_IXOTH for step in steps)


def prepare_var(wanted: Path) -> Path:
    """Make the data folder and return its real path, linking it elsewhere where service accounts cannot reach it.

    What a plain folder at `wanted` already holds (build stamps, for instance) moves along. Raises StackError where a
    link at `wanted` points to nothing that can be made.
    """
    wanted = Path(os.path.abspath(wanted))
    if wanted.is_symlink():
        target = Path(os.path.realpath(wanted))
        target.mkdir(mode=0o755, parents=True, exist_ok=True)
        return target
    wanted.parent.mkdir(parents=True, exist_ok=True)
    if reachable_by_others(wanted.parent):
        wanted.mkdir(mode=0o755, exist_ok=True)
        wanted.chmod(wanted.stat().st_mode | 0o555)
        return Path(os.path.realpath(wanted))
    return _link_elsewhere(wanted)


def _link_elsewhere(wanted: Path) -> Path:
    target = STATE / digest(Path(os.path.realpath(wanted.parent)) / wanted.name)
    if not reachable_by_others(STATE):
        raise StackError(f"service accounts can reach neither {wanted} nor {STATE}: open one of them (chmod o+x)")
    if target.exists():
        # A checkout at this path was deleted and cloned again: its data is not this one's, and is not ours to delete.
        target.rename(target.with_name(f"{target.name}.{int(time.time())}"))
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if wanted.exists():
        shutil.move(wanted, target)
    else:
        target.mkdir(mode=0o755)
    target.chmod(0o755)
    wanted.symlink_to(target, target_is_directory=True)
    return target


@dataclass(frozen=True)
class Layout:
    """Folders of one stack. `var` is its real path, `run` holds sockets."""

    var: Path
    run: Path

    @classmethod
    def of(cls, var: Path) -> "Layout":
        real = Path(os.path.realpath(var))
        return cls(var=real, run=RUN / f"deftmail-{digest(real)}")

    @property
    def name(self) -> str:
        return self.run.name

    @property
    def logs(self) -> Path:
        return self.var / "log"

    @property
    def pids(self) -> Path:
        return self.var / "run"

    @property
    def ca(self) -> Path:
        return self.var / "ca"

    @property
    def outbox(self) -> Path:
        return self.var / "outbox" / "Maildir"

    @property
    def env_file(self) -> Path:
        return self.var / "deftmail.env"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def socket(self, name: str) -> Path:
        """Path of a Unix socket; raises StackError where it would not fit into sockaddr_un."""
        path = self.run / name
        if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
            raise StackError(f"socket path too long: {path}")
        return path

    def make(self) -> None:
        """Make the folders that every service shares."""
        for folder in (self.logs, self.pids, self.ca, self.run):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            folder.chmod(0o755)
