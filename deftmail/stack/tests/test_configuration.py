"""What the rendered configuration promises: clear passwords refused in production, nothing sent from a local stack."""

import shutil
import stat
import subprocess
from pathlib import Path

import dns.zone
import pytest

from deftmail.jmap.transport import LIMITS
from deftmail.stack import cli, dkim, files
from deftmail.stack.errors import StackError
from deftmail.stack.memory import PORT_NAMES, Memory, Secrets
from deftmail.stack.paths import Layout
from deftmail.stack.production import Names, render_production
from deftmail.stack.render import render
from deftmail.stack.services import cyrus, knot, postfix, rspamd
from deftmail.stack.site import Site, parse_environment


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A local stack in a temporary folder; accounts of the servers need not exist."""
    monkeypatch.setattr(files, "account", lambda name: (65534, 65534))
    ports = {name: 20000 + index for index, name in enumerate(PORT_NAMES)}
    return Site(Layout(tmp_path, Path("/run/deftmail-test")), Memory(mode="local", ports=ports), Secrets())


@pytest.fixture
def production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(files, "account", lambda name: (65534, 65534))
    folder = tmp_path / "production"
    render_production(Names("example.com", "mail.example.com", "app.example.com", "ops@elsewhere.example"), folder)
    return folder


def _settings(text: str, separator: str) -> dict[str, str]:
    pairs = (line.partition(separator) for line in text.splitlines() if separator in line and line[:1].isalpha())
    return {name.strip(): value.strip() for name, _, value in pairs}


def test_production_refuses_passwords_in_clear(production: Path) -> None:
    imap = _settings((production / "etc/deftmail/cyrus/imapd.conf").read_text(), ":")
    assert imap["allowplaintext"] == "no"
    main = _settings((production / "etc/postfix/main.cf").read_text(), "=")
    assert main["smtpd_tls_auth_only"] == "yes"
    submission = _service((production / "etc/postfix/master.cf").read_text(), "submission ")
    assert "smtpd_tls_security_level=encrypt" in submission
    # Services that may take a password in clear listen on loopback or a Unix socket alone.
    services = (production / "etc/deftmail/cyrus/cyrus.conf").read_text()
    for name in ("adm", "lmtp", "sieve"):
        line = next(line for line in services.splitlines() if line.strip().startswith(f"{name} "))
        assert 'listen="127.0.0.1:' in line
    line = next(line for line in services.splitlines() if line.strip().startswith("http "))
    assert 'listen="/run/deftmail/http.sock"' in line


def test_sessions_are_ended_for_our_account_alone(production: Path) -> None:
    services = (production / "etc/deftmail/cyrus/cyrus.conf").read_text()
    line = next(line for line in services.splitlines() if line.strip().startswith("sessions "))
    assert 'sessions.py /var/lib/deftmail/cyrus/conf/proc deftmail"' in line
    assert (production / "etc/deftmail/cyrus/sessions.py").is_file()
    environment = parse_environment((production / "etc/deftmail/deftmail.env").read_text())
    assert f'listen="{environment["DEFTMAIL_CYRUS_SESSIONS_SOCKET"]}"' in line


def test_four_web_processes_and_the_worker_leave_cyrus_room_to_say_that_it_lives(production: Path) -> None:
    services = (production / "etc/deftmail/cyrus/cyrus.conf").read_text()
    (http,) = [line for line in services.splitlines() if line.split()[:1] == ["http"]]
    assert int(http.rpartition("maxchild=")[2]) > 5 * (LIMITS.max_connections or 0)


def test_passwords_tried_on_many_accounts_are_slowed(production: Path) -> None:
    """The gate counts by account, and what Cyrus asks by address too; these two do the rest."""
    imap = _settings((production / "etc/deftmail/cyrus/imapd.conf").read_text(), ":")
    assert imap["failedloginpause"] == "2s"
    main = _settings((production / "etc/postfix/main.cf").read_text(), "=")
    assert 0 < int(main["smtpd_client_auth_rate_limit"]) <= 60


def test_production_serves_https_alone(production: Path) -> None:
    nginx = (production / "etc/nginx/sites-available/deftmail").read_text()
    assert "ssl_protocols TLSv1.3;" in nginx
    assert "return 301 https://app.example.com" in nginx
    assert nginx.count("Strict-Transport-Security") >= 2


def test_production_believes_no_test_pattern_and_no_xclient(production: Path) -> None:
    assert "XCLIENT" not in (production / "etc/postfix/master.cf").read_text().upper()
    assert "enable_test_patterns" not in (production / "etc/rspamd/local.d/options.inc").read_text()


def test_production_sends_and_catches_nothing(production: Path) -> None:
    master = (production / "etc/postfix/master.cf").read_text()
    assert "outbox" not in master
    assert any(line.split()[:2] == ["smtp", "unix"] for line in master.splitlines() if line[:1].isalpha())
    assert "DEFTMAIL_OUTBOX_DIR" not in (production / "etc/deftmail/deftmail.env").read_text()


def test_production_leaves_no_secret_open_and_keeps_them(production: Path) -> None:
    environment = (production / "etc/deftmail/deftmail.env").read_text()
    secret = parse_environment(environment)["DEFTMAIL_SECRET_KEY"]
    readable = [path for path in production.rglob("*") if path.is_file() and path.stat().st_mode & stat.S_IROTH]
    assert readable
    secrets = Secrets.load_or_make(production).model_dump().values()
    assert not [path for path in readable if any(word in path.read_text() for word in secrets)]
    render_production(Names("example.com", "mail.example.com", "app.example.com", "ops@elsewhere.example"), production)
    assert parse_environment((production / "etc/deftmail/deftmail.env").read_text())["DEFTMAIL_SECRET_KEY"] == secret


def test_a_unit_runs_each_process_of_ours(production: Path) -> None:
    for name in ("web", "worker", "gate"):
        unit = (production / f"etc/systemd/system/deftmail-{name}.service").read_text()
        assert f"ExecStart=/opt/deftmail/.venv/bin/deftmail {name}\n" in unit
        assert "User=deftmail\n" in unit
        assert "NoNewPrivileges=yes\n" in unit


def test_a_local_postfix_has_no_way_out(site: Site) -> None:
    known = postfix.values(site)
    main = _settings(render("postfix/main.cf", known), "=")
    assert (main["default_transport"], main["relay_transport"]) == ("outbox", "outbox")
    programs = [line.split()[-1] for line in render("postfix/master.cf", known).splitlines() if line[:1].isalnum()]
    assert "smtp" not in programs


def test_a_local_postfix_listens_on_loopback_alone(site: Site) -> None:
    master = render("postfix/master.cf", postfix.values(site))
    doors = [line.split()[0] for line in master.splitlines() if line[:1].isalnum() and line.split()[1] == "inet"]
    assert len(doors) == 6
    assert all(door.startswith("127.0.0.1:") for door in doors)


@pytest.mark.parametrize(
    ("port", "context", "states"),
    [
        ("submission_port", "submission", 3),
        ("submissions_port", "submission", 3),
        ("jmap_out_port", "jmap", 3),
        ("sieve_out_port", "sieve", 3),
        ("mx_port", "mx", 1),
    ],
)
def test_the_gate_is_asked_on_every_port_that_is_not_our_own(site: Site, port: str, context: str, states: int) -> None:
    known = postfix.values(site)
    service = _service(render("postfix/master.cf", known), f"127.0.0.1:{known[port]} ")
    assert service.count(f"${context}_policy") == states
    policy = _settings(render("postfix/main.cf", known), "=")[f"{context}_policy"]
    assert f"policy_context={context}" in policy
    assert "{ default_action = 450 4.7.1 " in policy


def _service(master: str, start: str) -> str:
    """One service of master.cf with its options."""
    lines = iter(master.splitlines())
    found = [line for line in lines if line.startswith(start)][:1]
    assert found
    lines = iter(master.splitlines())
    for line in lines:
        if line == found[0]:
            break
    for line in lines:
        if not line.startswith((" ", "#")):
            break
        found.append(line)
    return "\n".join(found)


@pytest.mark.skipif(shutil.which("postconf") is None, reason="Postfix is not installed")
def test_postfix_reads_what_is_rendered(site: Site, tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    postfix.write_configuration(etc, postfix.values(site) | {"etc": etc})
    result = subprocess.run(["postconf", "-c", str(etc), "-n"], capture_output=True, text=True, check=True)
    assert "unused parameter" not in result.stderr
    assert "message_size_limit = 41943040" in result.stdout


@pytest.mark.parametrize(
    ("mailbox", "why"), [("nobody", "not an email address"), ("ops@example.com", "would go round"), ("", "Enter")]
)
def test_the_operators_mail_needs_a_mailbox_elsewhere(
    mailbox: str, why: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["render", "--production", "--dest", str(tmp_path), "--operator-domain", "example.com"]
    assert cli.main([*words, "--operator-mailbox", mailbox]) == 1
    assert why in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_operators_zone_says_what_customers_rely_on(site: Site) -> None:
    zone = dns.zone.from_text(render("knot/operator.zone", knot._values(site)), origin="deftmail.test.")

    def texts(name: str) -> list[bytes]:
        return [b"".join(record.strings) for record in zone.get_rdataset(name, "TXT") or []]

    assert texts("@") == [b"v=spf1 a:mail.deftmail.test -all"]
    assert texts("*._report._dmarc") == [b"v=DMARC1"]
    assert [str(record) for record in zone.get_rdataset("mail", "A") or []] == ["127.0.0.1"]
    [key] = texts("default._domainkey")
    assert key.startswith(b"v=DKIM1; k=rsa; p=")
    assert f'"{key[:250].decode()}"' in dkim.record(site)


def test_jmap_and_sieve_leave_through_different_ports(site: Site, tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    cyrus.write_configuration(etc, cyrus.values(site), owner=None)
    hosts = {name: _settings((etc / name).read_text(), ":")["smtp_host"] for name in ("imapd.conf", "imapd-lmtp.conf")}
    assert hosts == {
        "imapd.conf": f"127.0.0.1:{site.port('jmap_out')}/noauth",
        "imapd-lmtp.conf": f"127.0.0.1:{site.port('sieve_out')}/noauth",
    }
    assert stat.S_IMODE((etc / "jwt" / "key.pem").stat().st_mode) == 0o400


def test_rspamd_signs_nothing_by_default(site: Site) -> None:
    signing = render("rspamd/local.d/dkim_signing.conf", rspamd.values(site))
    assert "allow_username_mismatch = false" in signing
    assert "local allowed = false" in signing


def test_the_environment_holds_what_every_process_needs(site: Site) -> None:
    variables = site.environment()
    assert variables["DEFTMAIL_DNS_SERVERS"] == site.address("dns")
    assert variables["DEFTMAIL_BASE_URL"] == f"http://localhost:{site.port('web')}"
    assert variables["DEFTMAIL_DATABASE_URL"].startswith("postgresql://deftmail_app:")
    assert not [name for name, value in variables.items() if not value or set(value) & set(" \"'\n")]
    text = "".join(f"{name}={value}\n" for name, value in variables.items())
    assert parse_environment(f"# comment\n\n{text}") == variables


@pytest.mark.parametrize("name", ["acme.test", "ACME.test.", "xn--bcher-kva.example", "a.b.c.test", "_dmarc.acme.test"])
def test_zone_names_are_taken_in_lower_case(name: str) -> None:
    assert knot.checked_name(name) == name.lower().removesuffix(".")


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", "-a.test", "a-.test", "a b.test", "../etc", "a/b.test", "x" * 64, "ä.de"]
)
def test_what_is_no_zone_name_is_refused(name: str) -> None:
    with pytest.raises(StackError, match="not a domain name"):
        knot.checked_name(name)
