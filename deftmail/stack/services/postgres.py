"""PostgreSQL: a cluster of our own, and the logins of the house."""

import os
import signal
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from deftmail.stack import files, probes
from deftmail.stack.errors import StackError
from deftmail.stack.render import render
from deftmail.stack.service import Service
from deftmail.stack.site import DATABASE, Site

USER = "postgres"
BINARIES = Path("/usr/lib/postgresql")


def binary(name: str) -> str:
    """The newest installed major version's program."""
    versions = sorted((path for path in BINARIES.glob("*/bin") if (path / name).exists()), key=_major)
    if not versions:
        raise StackError("PostgreSQL is not installed (package postgresql)")
    return str(versions[-1] / name)


def _major(path: Path) -> int:
    return int(path.parent.name) if path.parent.name.isdigit() else 0


def service(site: Site) -> Service:
    home = site.layout.var / "postgres"
    data = home / "data"

    def prepare() -> None:
        owner = files.account(USER)
        files.folder(home, 0o700, owner)
        files.folder(site.layout.run / "postgres", 0o755, owner)
        if not (data / "PG_VERSION").exists():
            _initdb(site, data)
        values = {**site.values(), "socket": site.layout.run / "postgres"}
        files.write(data / "postgresql.auto.conf", "", 0o600, owner)
        files.write(data / "postgresql.conf", render("postgres/postgresql.conf", values), 0o600, owner)
        files.write(data / "pg_hba.conf", render("postgres/pg_hba.conf", values), 0o600, owner)

    return Service(
        name="postgres",
        argv=(binary("postgres"), "-D", str(data)),
        user=USER,
        prepare=prepare,
        probe=probes.sql(superuser_url(site, "postgres")),
        bootstrap=lambda: bootstrap(site),
        # SIGINT: fast shutdown, ends sessions and writes a checkpoint. SIGTERM would wait for every client.
        stop_signal=signal.SIGINT,
        stop_seconds=20,
    )


def superuser_url(site: Site, database: str) -> str:
    return f"postgresql://postgres:{site.secrets.postgres}@{site.address('postgres')}/{database}"


def _initdb(site: Site, data: Path) -> None:
    password = data.parent / "superuser"
    files.write(password, site.secrets.postgres, 0o600, files.account(USER))
    command = [binary("initdb"), "-D", str(data), "-U", "postgres", "--pwfile", str(password)]
    command += ["--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--no-instructions"]
    command += ["--data-checksums"] if site.mode != "test" else ["--no-sync"]
    result = subprocess.run(
        command, user=USER, group=files.account(USER)[1], extra_groups=[], cwd=data.parent, capture_output=True,
        text=True, env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"}, check=False,
    )  # fmt: skip
    password.unlink()
    if result.returncode != 0:
        raise StackError(f"initdb failed: {result.stderr.strip()}")


# Attributes beyond LOGIN. The owner makes test databases; the backup role reads past row-level security.
ROLES = {
    "deftmail_owner": "CREATEDB NOBYPASSRLS",
    "deftmail_app": "NOCREATEDB NOBYPASSRLS",
    "deftmail_system": "NOCREATEDB NOBYPASSRLS",
    "deftmail_mta": "NOCREATEDB NOBYPASSRLS",
    "deftmail_backup": "NOCREATEDB BYPASSRLS",
}


def bootstrap(site: Site) -> None:
    """Make logins and the database, or set them right: passwords follow secrets.json."""
    passwords = {
        "deftmail_owner": site.secrets.postgres_owner,
        "deftmail_app": site.secrets.postgres_app,
        "deftmail_system": site.secrets.postgres_system,
        "deftmail_mta": site.secrets.postgres_mta,
        "deftmail_backup": site.secrets.postgres_backup,
    }
    with psycopg.connect(superuser_url(site, "postgres"), autocommit=True) as connection:
        known = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        for role, attributes in ROLES.items():
            verb = "ALTER" if role in known else "CREATE"
            connection.execute(
                sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOCREATEROLE NOREPLICATION {} PASSWORD {}").format(
                    sql.SQL(verb), sql.Identifier(role), sql.SQL(attributes), sql.Literal(passwords[role])
                )
            )
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER deftmail_owner").format(sql.Identifier(DATABASE)))
    with psycopg.connect(superuser_url(site, DATABASE), autocommit=True) as connection:
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        connection.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")
        connection.execute("ALTER SCHEMA public OWNER TO deftmail_owner")
