"""`deftmail stack render --production`: the same templates for one real server, written into a folder to install from.

Nothing on this machine is changed. Secrets are made once in the folder and kept when it is rendered again.
"""

from dataclasses import dataclass
from pathlib import Path

from deftmail.stack import files
from deftmail.stack.memory import Memory, Secrets
from deftmail.stack.paths import Layout
from deftmail.stack.render import TEMPLATES, render
from deftmail.stack.services import cyrus, postfix, rspamd
from deftmail.stack.site import DATABASE, Site

VAR = Path("/var/lib/deftmail")
RUN = Path("/run/deftmail")
ETC = Path("/etc/deftmail")

# Real ports for the world, loopback ones for what only our own programs call.
PORTS = {
    "mx": 25,
    "submission": 587,
    "submissions": 465,
    "imap": 143,
    "imaps": 993,
    "sieve": 4190,
    "lmtp": 2003,
    "adm": 1143,
    "jmap_out": 10025,
    "sieve_out": 10026,
    "system": 10027,
    "policy": 10031,
    "gate_http": 10032,
    "milter": 11332,
    "web": 8000,
    "postgres": 5432,
    "redis": 6390,
    "cache": 6391,
    "dns": 53,
}


@dataclass(frozen=True)
class Names:
    """What the operator calls things."""

    operator_domain: str
    mail_host: str
    web_host: str
    operator_mailbox: str
    code: Path = Path("/opt/deftmail")


def render_production(names: Names, destination: Path) -> list[Path]:
    """Write every file below `destination` as it must lie below `/`; returns their paths."""
    secrets = Secrets.load_or_make(destination)
    site = Site(
        layout=Layout(var=VAR, run=RUN),
        memory=Memory(mode="production", ports=PORTS),
        secrets=secrets,
        operator_domain=names.operator_domain,
        mail_host=names.mail_host,
        operator_mailbox=names.operator_mailbox,
    )
    values = _values(site, names)
    etc = destination / "etc"
    files.write(etc / "deftmail" / "deftmail.env", _environment(site, names), 0o640)
    cyrus.write_configuration(etc / "deftmail" / "cyrus", values | _cyrus(site), owner=None)
    postfix.write_configuration(etc / "postfix", values | _postfix(site))
    rspamd.write_configuration(etc / "rspamd", values | rspamd.values(site))
    for name in ("redis", "cache"):
        own = {"home": "/var/lib/redis", "port": PORTS[name], "lasting": name == "redis"}
        target = etc / "redis" / f"redis-deftmail-{name}.conf"
        files.write(target, render("redis/redis.conf", values | own), 0o640)
    source = TEMPLATES / "production"
    for template in sorted(path.relative_to(source) for path in source.rglob("*") if path.is_file()):
        content = render(f"production/{template}", values)
        mode = 0o755 if template.suffix == ".sh" else 0o600 if template.suffix == ".sql" else 0o644
        files.write(destination / template, content, mode)
    return sorted(path.relative_to(destination) for path in destination.rglob("*") if path.is_file())


def _values(site: Site, names: Names) -> dict[str, object]:
    secrets = site.secrets
    return {
        **site.values(),
        "web_host": names.web_host,
        "code": names.code,
        "database": DATABASE,
        "etc": ETC,
        "cyrus_admin_password": secrets.cyrus_admin,
        "owner_password": secrets.postgres_owner,
        "app_password": secrets.postgres_app,
        "system_password": secrets.postgres_system,
        "mta_password": secrets.postgres_mta,
        "backup_password": secrets.postgres_backup,
        "tls_certificate": ETC / "tls" / "fullchain.pem",
        "tls_key": ETC / "tls" / "privkey.pem",
    }


def _cyrus(site: Site) -> dict[str, object]:
    return {
        **cyrus.values(site),
        "etc": ETC / "cyrus",
        "tls_certificate": ETC / "tls" / "fullchain.pem",
        "tls_key": ETC / "tls" / "privkey.pem",
        "imap_listen": PORTS["imap"],
        "imaps_listen": PORTS["imaps"],
        "imap_children": 1000,
        "http_prefork": 8,
        # More than our processes hold together (jmap.transport: 40 each, of which 20 idle): where none is left, asking
        # whether Cyrus lives gets no answer, and it counts as dead. Room for four web processes and the worker.
        "http_children": 220,
        "account": "deftmail",
        "syslog_prefix": "deftmail",
    }


def _postfix(site: Site) -> dict[str, object]:
    return {
        **postfix.values(site),
        "etc": "/etc/postfix",
        "spool": "/var/spool/postfix",
        "data": "/var/lib/postfix",
        "inet_protocols": "all",
        "tls_certificate": ETC / "tls" / "fullchain.pem",
        "tls_key": ETC / "tls" / "privkey.pem",
    }


def _environment(site: Site, names: Names) -> str:
    host = names.mail_host
    variables = site.environment() | {
        "DEFTMAIL_BASE_URL": f"https://{names.web_host}",
        "DEFTMAIL_TRUSTED_PROXIES": "1",
        "DEFTMAIL_IMAP": f"{host}:{PORTS['imap']}",
        "DEFTMAIL_IMAPS": f"{host}:{PORTS['imaps']}",
        "DEFTMAIL_SUBMISSION": f"{host}:{PORTS['submission']}",
        "DEFTMAIL_SUBMISSIONS": f"{host}:{PORTS['submissions']}",
        "DEFTMAIL_MX": f"{host}:{PORTS['mx']}",
        "DEFTMAIL_CA_FILE": "/etc/ssl/certs/ca-certificates.crt",
    }
    # Nothing is caught in production: mail leaves.
    del variables["DEFTMAIL_OUTBOX_DIR"]
    # Postfix is the system's: its own folder, its log by syslog.
    del variables["DEFTMAIL_MAIL_LOG"], variables["DEFTMAIL_POSTFIX_CONFIG"]
    return "".join(f"{name}={value}\n" for name, value in variables.items())
