"""Postfix: the MX, submission, the ports Cyrus and DeftMail send through, and the catch-all for the outside world."""

import re
import shutil
import subprocess
from pathlib import Path

from deftmail.stack import ca, files, probes
from deftmail.stack.errors import StackError
from deftmail.stack.render import render
from deftmail.stack.service import Service
from deftmail.stack.site import DATABASE, Site

PACKAGED = Path("/etc/postfix")
# Of what the package installed, what `postfix start` needs beside main.cf.
_COPIED = ("dynamicmaps.cf", "dynamicmaps.cf.d", "postfix-files", "postfix-files.d", "postfix-script", "post-install")
_TEMPLATES = (
    "main.cf",
    "master.cf",
    "header_checks",
    "operator_aliases",
    "sasl/smtpd.conf",
    "pgsql/domains.cf",
    "pgsql/mailboxes.cf",
    "pgsql/aliases.cf",
    "pgsql/sender_logins.cf",
)


def service(site: Site) -> Service:
    home = site.layout.var / "postfix"
    etc = home / "etc"

    def prepare() -> None:
        ca.ensure(site)
        files.folder(home, 0o755)
        files.folder(home / "spool", 0o755)
        files.folder(home / "data", 0o700, files.account("postfix"))
        _copy_packaged(etc)
        write_configuration(etc, values(site))
        _make_outbox(site)
        _check(etc)

    return Service(
        name="postfix",
        # Not "postfix start-fg": there the master makes a session of its own, out of the supervisor's sight.
        # -d keeps it in the session it was given, and changes nothing else under a supervisor.
        argv=("/usr/lib/postfix/sbin/master", "-c", str(etc), "-d"),
        prepare=prepare,
        probe=probes.together(
            *(probes.banner(site.port(name), b"220 ") for name in ("mx", "submission", "jmap_out", "system"))
        ),
    )


def values(site: Site) -> dict[str, object]:
    home = site.layout.var / "postfix"
    uid, gid = site.outbox_owner
    return {
        **site.values(),
        "etc": home / "etc",
        "spool": home / "spool",
        "data": home / "data",
        "inet_protocols": "ipv4",
        "qmgr_wakeup": 300,
        "outbox_base": site.layout.outbox.parent,
        "outbox_uid": uid,
        "outbox_gid": gid,
        "mta_password": site.secrets.postgres_mta,
        "database": DATABASE,
        "sasl_socket": site.layout.socket("sasl.sock"),
        "tls_certificate": site.layout.ca / "server.pem",
        "tls_key": site.layout.ca / "server.key",
        "mail_host_pattern": re.escape(site.mail_host),
        "operator_domain_pattern": re.escape(site.operator_domain),
        "gate_away": "450 4.7.1 Service temporarily unavailable",
    }


def write_configuration(etc: Path, known: dict[str, object]) -> None:
    """Render every file Postfix reads into `etc`; those with a password are for root and postfix only."""
    postfix = (0, files.account("postfix")[1])
    for name in _TEMPLATES:
        secret = name.startswith("pgsql/")
        content = render(f"postfix/{name}", known)
        files.write(etc / name, content, 0o640 if secret else 0o644, postfix if secret else None)


def _copy_packaged(etc: Path) -> None:
    files.folder(etc, 0o755)
    for name in _COPIED:
        source = PACKAGED / name
        if source.is_dir():
            shutil.copytree(source, etc / name, dirs_exist_ok=True)
        elif source.exists():
            shutil.copy2(source, etc / name)


def _check(etc: Path) -> None:
    """Make the queue's folders and let Postfix look at its own installation."""
    command = ["/usr/sbin/postfix", "-c", str(etc), "check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if result.returncode != 0:
        raise StackError(f"postfix check: {(result.stderr or result.stdout).strip()}")


def _make_outbox(site: Site) -> None:
    for path in (site.layout.outbox.parent, site.layout.outbox):
        files.folder(path, 0o755, site.outbox_owner)
    for name in ("cur", "new", "tmp"):
        files.folder(site.layout.outbox / name, 0o755, site.outbox_owner)
