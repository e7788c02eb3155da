"""One installation: where it is, its ports and secrets, and the environment DeftMail's own processes get."""

import os
import pwd
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from deftmail.stack import files
from deftmail.stack.memory import Memory, Mode, Secrets
from deftmail.stack.paths import CHECKOUT, Layout

OPERATOR_DOMAIN = "deftmail.test"
OPERATOR_MAILBOX = "operator@elsewhere.example"  # caught, as all mail for the outside world
MAIL_HOST = "mail.deftmail.test"
DATABASE = "deftmail"
TSIG_NAME = "deftmail-local."
TSIG_ALGORITHM = "hmac-sha256"


def caller() -> tuple[int, int]:
    """uid and gid of the person at the keyboard, also behind sudo(8)."""
    if os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdigit():
        return int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
    return os.geteuid(), os.getegid()


@dataclass(frozen=True)
class Site:
    """Everything a template or a service may ask about this stack."""

    layout: Layout
    memory: Memory
    secrets: Secrets
    operator_domain: str = OPERATOR_DOMAIN
    mail_host: str = MAIL_HOST
    operator_mailbox: str = OPERATOR_MAILBOX
    """Where mail to the operator goes (postmaster, abuse, support, DMARC reports); an address of another domain."""

    @classmethod
    def load(cls, var: Path) -> "Site":
        """The stack at `var` as last started; makes secrets where there are none."""
        layout = Layout.of(var)
        secrets = Secrets.load_or_make(layout.var, caller())
        return cls(layout=layout, memory=Memory.load(layout.var), secrets=secrets)

    @property
    def mode(self) -> Mode:
        return self.memory.mode

    def port(self, name: str) -> int:
        return self.memory.ports[name]

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.port(name)}"

    @cached_property
    def owner(self) -> tuple[int, int]:
        """Who runs DeftMail's own processes: whoever called sudo, else whoever runs the stack."""
        return caller()

    @cached_property
    def owner_name(self) -> str:
        return pwd.getpwuid(self.owner[0]).pw_name

    @cached_property
    def outbox_owner(self) -> tuple[int, int]:
        """Postfix's virtual(8) refuses to deliver as root; the owner's processes as root may read it all the same."""
        return self.owner if self.owner[0] >= 100 else files.account("nobody")

    @property
    def base_url(self) -> str:
        return f"http://localhost:{self.port('web')}"

    def database_url(self, role: str, password: str) -> str:
        return f"postgresql://{role}:{password}@{self.address('postgres')}/{DATABASE}"

    def redis_url(self, name: str) -> str:
        return f"redis://:{self.secrets.redis}@{self.address(name)}/0"

    def environment(self) -> dict[str, str]:
        """The variables of every process of ours, also written to `<var>/deftmail.env`."""
        secrets, layout = self.secrets, self.layout
        return {
            "DEFTMAIL_VAR": str(layout.var),
            "DEFTMAIL_MODE": self.mode,
            "DEFTMAIL_SECRET_KEY": secrets.secret_key,
            "DEFTMAIL_ENCRYPTION_KEYS": f"k1:{secrets.encryption_key}",
            "DEFTMAIL_DATABASE_URL": self.database_url("deftmail_app", secrets.postgres_app),
            "DEFTMAIL_DATABASE_SYSTEM_URL": self.database_url("deftmail_system", secrets.postgres_system),
            "DEFTMAIL_DATABASE_OWNER_URL": self.database_url("deftmail_owner", secrets.postgres_owner),
            "DEFTMAIL_REDIS_URL": self.redis_url("redis"),
            "DEFTMAIL_CACHE_URL": self.redis_url("cache"),
            "DEFTMAIL_OPERATOR_DOMAIN": self.operator_domain,
            "DEFTMAIL_MAIL_HOST": self.mail_host,
            "DEFTMAIL_SUPPORT_EMAIL": f"support@{self.operator_domain}",
            "DEFTMAIL_BASE_URL": self.base_url,
            "DEFTMAIL_WEB_HOST": "127.0.0.1",
            "DEFTMAIL_WEB_PORT": str(self.port("web")),
            "DEFTMAIL_DNS_SERVERS": self.address("dns"),
            "DEFTMAIL_ENGINE": "cyrus",
            "DEFTMAIL_CYRUS_JMAP_SOCKET": str(layout.socket("http.sock")),
            "DEFTMAIL_CYRUS_JMAP_URL": "http://localhost",
            "DEFTMAIL_CYRUS_SESSIONS_SOCKET": str(layout.socket("sessions.sock")),
            "DEFTMAIL_CYRUS_JWT_KEY": secrets.cyrus_jwt,
            "DEFTMAIL_CYRUS_ADMIN": self.address("adm"),
            "DEFTMAIL_CYRUS_ADMIN_USER": "cyrus",
            "DEFTMAIL_CYRUS_ADMIN_PASSWORD": secrets.cyrus_admin,
            "DEFTMAIL_CYRUS_LMTP": self.address("lmtp"),
            "DEFTMAIL_SMTP_SYSTEM": self.address("system"),
            "DEFTMAIL_IMAP": self.address("imap"),
            "DEFTMAIL_IMAPS": self.address("imaps"),
            "DEFTMAIL_SUBMISSION": self.address("submission"),
            "DEFTMAIL_SUBMISSIONS": self.address("submissions"),
            "DEFTMAIL_MX": self.address("mx"),
            "DEFTMAIL_SIEVE": self.address("sieve"),
            "DEFTMAIL_CA_FILE": str(layout.ca / "ca.pem"),
            "DEFTMAIL_GATE_SASL_SOCKET": str(layout.socket("sasl.sock")),
            "DEFTMAIL_GATE_POLICY": self.address("policy"),
            "DEFTMAIL_GATE_HTTP": self.address("gate_http"),
            "DEFTMAIL_MAIL_LOG": str(layout.logs / "postfix.log"),
            "DEFTMAIL_POSTFIX_CONFIG": str(layout.var / "postfix" / "etc"),
            "DEFTMAIL_OUTBOX_DIR": str(layout.outbox),
            # A test does not wait a minute to see a killed worker's job done by the next.
            **({"DEFTMAIL_WORKER_HEARTBEAT": "1"} if self.mode == "test" else {}),
        }

    def write_environment(self) -> None:
        lines = [f"{name}={value}\n" for name, value in self.environment().items()]
        files.write(self.layout.env_file, "".join(lines), mode=0o600, owner=self.owner)

    def values(self) -> dict[str, object]:
        """Names every template may use; a service adds its own."""
        ports = {f"{name}_port": port for name, port in self.memory.ports.items()}
        return {
            **ports,
            "var": self.layout.var,
            "run": self.layout.run,
            "logs": self.layout.logs,
            "ca": self.layout.ca,
            "checkout": CHECKOUT,
            "operator_domain": self.operator_domain,
            "mail_host": self.mail_host,
            "operator_mailbox": self.operator_mailbox,
            "redis_password": self.secrets.redis,
            "tsig_name": TSIG_NAME,
            "tsig_algorithm": TSIG_ALGORITHM,
            "tsig_secret": self.secrets.tsig,
            "test": self.mode == "test",
            "production": self.mode == "production",
        }


def parse_environment(text: str) -> dict[str, str]:
    """Variables of an environment file: `NAME=value` lines, `#` comments, no quoting, no expansion."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            found[name.strip()] = value.strip()
    return found
