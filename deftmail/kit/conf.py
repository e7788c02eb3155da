"""Every setting of DeftMail, typed and read once from the environment.

A missing or malformed value stops the process at start with the name of the variable, never at the first
request that happens to need it. `.env.example` and `docs/settings.md` are generated from this file
(`deftmail settings_docs`), so a setting without a description cannot be added.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Conf(BaseSettings):
    """Settings of one installation. Each `X` may instead be given as a file in the secrets folder."""

    model_config = SettingsConfigDict(env_prefix="DEFTMAIL_", extra="ignore", frozen=True)

    mode: Literal["local", "test", "production"] = Field(
        "production", description="`local` and `test` open /dev pages and allow plain http; `production` does not."
    )
    secret_key: SecretStr = Field(description="Signs sessions and links; at least 32 characters.", min_length=32)
    encryption_keys: SecretStr = Field(
        description="Comma separated `id:base64` of 32-byte keys; the first encrypts, all decrypt."
    )

    database_url: SecretStr = Field(description="PostgreSQL as `deftmail_app`: row-level security applies.")
    database_system_url: SecretStr = Field(description="PostgreSQL as `deftmail_system`: reads that cross companies.")
    database_owner_url: SecretStr | None = Field(
        None,
        description="PostgreSQL as `deftmail_owner`: migrations only; give it to `deftmail setup`, not to the web.",
    )
    redis_url: str = Field(description="Redis of limits (append-only file, noeviction).")
    cache_url: str = Field(description="Redis of the cache (may evict).")

    operator_domain: str = Field("deftmail.test", description="The operator's own domain; SPF include and senders.")
    mail_host: str = Field("mail.deftmail.test", description="Host name the MX records point to.")
    base_url: str = Field(description="Where people reach the web, without a trailing slash.")
    web_host: str = Field("127.0.0.1", description="Address the web process binds.")
    web_port: int = Field(8000, description="Port the web process binds.")
    web_workers: int = Field(
        1,
        description="Web processes; each holds a database pool of 10 "
        "and up to 40 connections to Cyrus (`maxchild` of `http` in cyrus.conf is made for four).",
    )
    worker_heartbeat: float = Field(
        10, gt=0, description="Seconds between a worker's signs of life; after six missed ones its jobs run elsewhere."
    )
    trusted_proxies: int = Field(0, description="Number of reverse proxies whose X-Forwarded-For entry is believed.")
    dns_servers: str = Field(
        "", description="Comma separated host:port of resolvers for DNS checks; empty: the system's."
    )
    support_email: str = Field("support@deftmail.test", description="Shown where a person needs a human.")

    engine: Literal["cyrus", "stalwart", "fake"] = Field("cyrus", description="The mail engine driver.")
    cyrus_jmap_socket: str = Field("", description="Unix socket of Cyrus' HTTP service; empty: use the URL.")
    cyrus_jmap_url: str = Field("http://localhost", description="Origin of Cyrus' JMAP service.")
    cyrus_jwt_key: SecretStr = Field(SecretStr(""), description="base64 of the HMAC key Cyrus reads for bearer tokens.")
    cyrus_admin: str = Field("127.0.0.1:1143", description="host:port of Cyrus' administration IMAP service.")
    cyrus_admin_user: str = Field("cyrus", description="Cyrus administrator.")
    cyrus_admin_password: SecretStr = Field(SecretStr(""), description="Password of the Cyrus administrator.")
    cyrus_lmtp: str = Field("127.0.0.1:2003", description="host:port of Cyrus' LMTP service.")
    cyrus_sessions_socket: str = Field(
        "",
        description="Unix socket of the service beside Cyrus that ends open sessions and tells the gate whom a process "
        "serves; empty: it is not asked.",
    )
    stalwart_url: str = Field("http://127.0.0.1:8080", description="Origin of Stalwart's HTTP service (0.16 or newer).")
    stalwart_api_key: SecretStr = Field(
        SecretStr(""), description="Key of the service account; `deftmail engine setup stalwart` issues it."
    )
    stalwart_callback_url: str = Field(
        "", description="Origin at which Stalwart reaches the web for its hook and reports; empty: the base URL."
    )
    stalwart_account: str = Field("", description="Address of the service account, as the set-up named it.")
    smtp_system: str = Field("127.0.0.1:2525", description="host:port that takes the product's own mail.")

    imap: str = Field("127.0.0.1:143", description="IMAP with STARTTLS as shown to people.")
    imaps: str = Field("127.0.0.1:993", description="IMAP with TLS as shown to people.")
    submission: str = Field("127.0.0.1:587", description="Submission with STARTTLS as shown to people.")
    submissions: str = Field("127.0.0.1:465", description="Submission with TLS as shown to people.")
    mx: str = Field("127.0.0.1:25", description="The port other mail servers deliver to.")
    sieve: str = Field("127.0.0.1:4190", description="ManageSieve, for the engine's administration only.")
    ca_file: str = Field("", description="Certificate authority of the local stack; empty: the system's.")

    gate_sasl_socket: str = Field("/run/deftmail/sasl.sock", description="Socket that answers password checks.")
    gate_policy: str = Field("127.0.0.1:10031", description="host:port of Postfix's policy service.")
    gate_http: str = Field("127.0.0.1:10032", description="host:port of the gate's health page.")
    mail_log: str = Field(
        "/var/log/mail.log",
        description="Postfix's log, readable by the gate: messages that never reached the queue are not counted, wrong "
        "passwords at submission count for the client's address.",
    )
    postfix_config: str = Field("", description="Postfix's configuration folder; empty: the system's.")
    outbox_dir: str = Field("", description="Maildir of caught outside mail (local and test mode).")

    @field_validator("base_url")
    @classmethod
    def _no_trailing_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @property
    def is_production(self) -> bool:
        """True where the dev pages are shut and https is required."""
        return self.mode == "production"


@functools.cache
def _load() -> Conf:
    return Conf()


class _LazyConf:
    """`conf.x` reads the environment at first use, so that importing a module never needs one."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_load(), name)


conf: Conf = _LazyConf()  # type: ignore[assignment]  # typed as what it stands for

ROOT = Path(__file__).resolve().parents[2]
"""The checkout (or the installed package's parent)."""
