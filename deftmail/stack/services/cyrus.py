"""Cyrus: JMAP, IMAP, LMTP, ManageSieve and search, configured as the private instance it measured best as.

`makedirs -C` of Debian ignores -C and would touch the system's folders, so every folder is made here.
"""

import os
import subprocess
from pathlib import Path

from deftmail.stack import ca, files, probes, sessions
from deftmail.stack.errors import StackError
from deftmail.stack.render import render
from deftmail.stack.service import Service
from deftmail.stack.site import Site

USER = "cyrus"
# Cyrus needs a default domain; one that nobody can register keeps "alice" from meaning alice of some customer.
DEFAULT_DOMAIN = "nobody.invalid"
_FOLDERS = ("spool", "search", "sieve", "run")
_STATE = ("db", "socket", "proc", "lock", "log", "msg", "ptclient", "quota", "user", "domain", "sieve")


def service(site: Site) -> Service:
    home = site.layout.var / "cyrus"
    etc = home / "etc"

    def prepare() -> None:
        ca.ensure(site)
        owner = files.account(USER)
        for path in (home, *(home / name for name in _FOLDERS)):
            files.folder(path, 0o750, owner)
        for name in _STATE:
            files.folder(home / "conf" / name, 0o750, owner)
        files.folder(home / "conf", 0o750, owner)
        files.folder(home, 0o755, owner)
        write_configuration(etc, values(site), owner)
        for name in ("http.sock", "sessions.sock"):
            site.layout.socket(name).unlink(missing_ok=True)
        _set_administrator(site, home / "sasldb2")

    return Service(
        name="cyrus",
        argv=("/usr/lib/cyrus/bin/master", "-C", str(etc / "imapd.conf"), "-M", str(etc / "cyrus.conf"),
              "-p", str(home / "run" / "master.pid"), "-D"),
        prepare=prepare,
        probe=probes.together(
            probes.banner(site.port("imap"), b"* OK"),
            probes.banner(site.port("adm"), b"* OK"),
            probes.banner(site.port("lmtp"), b"220 "),
            probes.jmap(site.layout.socket("http.sock")),
        ),
        stop_seconds=15,
    )  # fmt: skip


def values(site: Site) -> dict[str, object]:
    home = site.layout.var / "cyrus"
    return {
        **site.values(),
        "home": home,
        "etc": home / "etc",
        "default_domain": DEFAULT_DOMAIN,
        "sasl_socket": site.layout.socket("sasl.sock"),
        "http_socket": site.layout.socket("http.sock"),
        "sessions_socket": site.layout.socket("sessions.sock"),
        "account": site.owner_name,
        "sasldb": home / "sasldb2",
        "tls_certificate": site.layout.ca / "server.pem",
        "tls_key": site.layout.ca / "server.key",
        "jwt_key": site.secrets.cyrus_jwt,
        "imap_listen": site.address("imap"),
        "imaps_listen": site.address("imaps"),
        "sieve_listen": site.address("sieve"),
        "lmtp_listen": site.address("lmtp"),
        "adm_listen": site.address("adm"),
        "imap_children": 100,
        "http_prefork": 4,
        "http_children": 60,
        "syslog_prefix": site.layout.name,
    }


def write_configuration(etc: Path, known: dict[str, object], owner: tuple[int, int] | None) -> None:
    """Render every file Cyrus reads into `etc`."""
    base = render("cyrus/imapd.conf", known)
    # Redirects and vacations of Sieve leave through a port of their own, so they can be told from what people send.
    for name, port in (("imapd.conf", known["jmap_out_port"]), ("imapd-lmtp.conf", known["sieve_out_port"])):
        files.write(etc / name, f"{base}smtp_host: 127.0.0.1:{port}/noauth\n", 0o640, owner)
    files.write(etc / "cyrus.conf", render("cyrus/cyrus.conf", known), 0o640, owner)
    files.write(etc / "sessions.py", Path(sessions.__file__).read_text(), 0o644, owner)
    files.folder(etc / "jwt", 0o500, owner)
    files.write(etc / "jwt" / "key.pem", render("cyrus/jwt.pem", known), 0o400, owner)


def _set_administrator(site: Site, sasldb: Path) -> None:
    """The administrator's password lives in a file of its own, so administration works while the gate is down."""
    fresh = sasldb.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    result = subprocess.run(
        ["/usr/sbin/saslpasswd2", "-p", "-c", "-f", str(fresh), "-u", site.mail_host, "cyrus"],
        input=site.secrets.cyrus_admin.encode(), capture_output=True, check=False,
    )  # fmt: skip
    if result.returncode != 0 or not fresh.exists():
        raise StackError(f"saslpasswd2 failed: {result.stderr.decode(errors='replace').strip()}")
    os.chown(fresh, *files.account(USER))
    fresh.chmod(0o400)
    fresh.replace(sasldb)
