"""`deftmail stack …`: start, stop and look at the local servers."""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from deftmail.mailproto.addresses import parse_address
from deftmail.mailproto.errors import AddressError
from deftmail.stack import background, production, run, status
from deftmail.stack.errors import StackError
from deftmail.stack.paths import CHECKOUT
from deftmail.stack.services import knot
from deftmail.stack.site import Site

# Cyrus and Postfix start as root, and zone files belong to Knot's account.
NEED_ROOT = ("run", "up", "down", "zone")


def become_root(argv: Sequence[str]) -> None:
    """Start this command again through sudo(8) where it does not run as root. Raises StackError without sudo."""
    if os.geteuid() == 0:
        return
    if shutil.which("sudo") is None:
        raise StackError("Cyrus and Postfix start as root: run this as root, or install sudo")
    command = ["sudo", "--preserve-env=DEFTMAIL_VAR", sys.executable, "-m", "deftmail.stack", *argv]
    os.execvp("sudo", command)


def default_var() -> Path:
    """`$DEFTMAIL_VAR`, or `var` in the checkout."""
    return Path(os.environ.get("DEFTMAIL_VAR") or CHECKOUT / "var")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="deftmail stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("run", "start all in the foreground"), ("up", "start all in the background")):
        command = commands.add_parser(name, help=text)
        command.add_argument("--mode", choices=("local", "test"), help="kept from the last start")
        command.add_argument("--no-demo", action="store_true", help="make no demo company")
        command.add_argument("--only", default="", metavar="NAME,…", help="start these services only")
        _takes_var(command)
    _takes_var(commands.add_parser("down", help="stop all"))
    shown = commands.add_parser("status", help="addresses, and whether each service answers")
    shown.add_argument("--json", action="store_true")
    _takes_var(shown)
    zones = commands.add_parser("zone", help="zones on the local DNS").add_subparsers(dest="action", required=True)
    for action in ("create", "delete"):
        command = zones.add_parser(action)
        command.add_argument("name")
        _takes_var(command)
    _add_render(commands.add_parser("render", help="write the configuration of a production server into a folder"))
    return parser


def _add_render(command: argparse.ArgumentParser) -> None:
    command.add_argument("--production", action="store_true", required=True)
    command.add_argument("--dest", type=Path, required=True, metavar="DIR")
    command.add_argument("--operator-domain", required=True, metavar="NAME", help="your own domain: example.com")
    command.add_argument(
        "--operator-mailbox",
        required=True,
        metavar="ADDRESS",
        help="who reads postmaster@, abuse@, support@ and reports",
    )
    command.add_argument("--mail-host", metavar="NAME", help="where MX records point: mail.example.com")
    command.add_argument("--web-host", metavar="NAME", help="where people sign in: app.example.com")
    command.add_argument("--code", type=Path, default=Path("/opt/deftmail"), metavar="DIR", help="the checkout there")


def _takes_var(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--var", type=Path, default=default_var(), metavar="DIR", help="data folder")


def main(argv: Sequence[str]) -> int:
    """Run one command; `argv` without the program's name. Returns the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command in NEED_ROOT:
            become_root(argv)
        return _dispatch(arguments)
    except StackError as error:
        print(f"deftmail: {error}", file=sys.stderr)
        return 1


def _dispatch(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "run":
            return run.run(_options(arguments))
        case "up":
            return background.up(_options(arguments))
        case "down":
            return background.down(run.Options(var=arguments.var))
        case "status":
            return _status(arguments)
        case "render":
            return _render(arguments)
        case _:
            return _zone(arguments)


def _options(arguments: argparse.Namespace) -> run.Options:
    only = tuple(name for name in arguments.only.split(",") if name)
    return run.Options(var=arguments.var, mode=arguments.mode, demo=not arguments.no_demo, only=only)


def _started(var: Path) -> Site:
    if not (var / "stack.json").exists():
        raise StackError(f"no stack was ever started in {var}")
    return Site.load(var)


def _status(arguments: argparse.Namespace) -> int:
    report = status.status(_started(arguments.var))
    print(status.as_json(report) if arguments.json else status.table(report))
    return 0 if status.healthy(report) else 3


def _zone(arguments: argparse.Namespace) -> int:
    site = _started(arguments.var)
    if arguments.action == "create":
        made = knot.create_zone(site, arguments.name)
        print(f"{arguments.name}: {'made' if made else 'was there already, left as it is'}")
        return 0
    if not knot.delete_zone(site, arguments.name):
        raise StackError(f"there is no zone {arguments.name}")
    print(f"{arguments.name}: deleted")
    return 0


def _mailbox_elsewhere(text: str, operator_domain: str) -> str:
    """Raises StackError for what is no address, or one of the domain whose mail it is to take."""
    try:
        address = parse_address(text)
    except AddressError as error:
        raise StackError(f"--operator-mailbox: {error}") from error
    if address.domain.ascii == operator_domain:
        raise StackError(f"--operator-mailbox: mail for {operator_domain} would go round; name one of another domain")
    return address.ascii


def _render(arguments: argparse.Namespace) -> int:
    domain = knot.checked_name(arguments.operator_domain)
    names = production.Names(
        operator_domain=domain,
        mail_host=knot.checked_name(arguments.mail_host or f"mail.{domain}"),
        web_host=knot.checked_name(arguments.web_host or f"app.{domain}"),
        operator_mailbox=_mailbox_elsewhere(arguments.operator_mailbox, domain),
        code=arguments.code,
    )
    for path in production.render_production(names, arguments.dest):
        print(path)
    return 0
