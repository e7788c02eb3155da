"""Small file operations with owners and modes set before content is visible."""

import grp
import os
import pwd
import tempfile
from pathlib import Path


def account(name: str) -> tuple[int, int]:
    """uid and gid of a login. Raises KeyError where the account does not exist."""
    entry = pwd.getpwnam(name)
    return entry.pw_uid, entry.pw_gid


def groups_of(name: str) -> list[int]:
    """Every group of a login, as login(1) would set them."""
    return os.getgrouplist(name, pwd.getpwnam(name).pw_gid)


def group_id(name: str) -> int:
    return grp.getgrnam(name).gr_gid


def write(path: Path, content: str, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
    """Replace a file in one step: a reader sees the old content or the new, never a part or wider permissions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(content)
        os.chmod(temporary, mode)
        if owner is not None and os.geteuid() == 0:
            os.chown(temporary, *owner)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def folder(path: Path, mode: int = 0o755, owner: tuple[int, int] | None = None) -> Path:
    """Make a folder (and its parents, 0755) with this mode and owner."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    if owner is not None and os.geteuid() == 0:
        os.chown(path, *owner)
    return path
