"""`deftmail engine …`: set the mail server up; is it well, as we said, and as the port promises?"""

from __future__ import annotations

import json
from argparse import RawDescriptionHelpFormatter
from dataclasses import asdict
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from deftmail.engine.errors import EngineError
from deftmail.engine.registry import engine
from deftmail.ops import drift, engineconformance, enginesetup

HELP = """Look after the mail engine of this installation (DEFTMAIL_ENGINE).

  deftmail engine setup stalwart …       take a Stalwart to what we need (--help)
  deftmail engine doctor                 what is wrong, one line each
  deftmail engine health                 does every part answer?
  deftmail engine reconcile              compare domains, DKIM keys, mailboxes and quotas with the database
  deftmail engine reconcile --repair     and make the engine agree
  deftmail engine conformance            run the port's test cases against it (makes and removes *.conformance.test)

Exit status: 0 well, 1 something is wrong or differs, 2 the engine could not be asked."""


class Command(BaseCommand):
    help = HELP
    requires_system_checks: list[str] = []  # noqa: RUF012 -- Django's own declaration

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **options)
        parser.formatter_class = RawDescriptionHelpFormatter
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        setup = actions.add_parser(
            "setup", help="take an engine to what we need", description=enginesetup.SETUP_HELP,
            formatter_class=RawDescriptionHelpFormatter,
        )  # fmt: skip
        enginesetup.add_setup_arguments(setup)
        doctor = actions.add_parser("doctor", help="say what is wrong with the engine")
        health = actions.add_parser("health", help="ask every part of the engine")
        reconcile = actions.add_parser("reconcile", help="compare the engine with the database")
        reconcile.add_argument(
            "--repair", action="store_true", help="make what is missing or different as it should be"
        )
        reconcile.add_argument(
            "--delete-extra",
            action="append",
            default=[],
            metavar="NAME",
            help="erase this mailbox or domain, with its mail, if no row stands for it; may be given again",
        )
        conformance = actions.add_parser(
            "conformance", help="run the engine port's cases", description=engineconformance.HELP,
            formatter_class=RawDescriptionHelpFormatter,
        )  # fmt: skip
        engineconformance.add_arguments(conformance)
        for action in (setup, doctor, health, reconcile, conformance):
            action.add_argument("--json", action="store_true", help="machine-readable lines")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            match options["action"]:
                case "setup":
                    enginesetup.run_setup(options, self.stdout)
                    well = True
                case "doctor":
                    well = enginesetup.run_doctor(options["json"], self.stdout)
                case "health":
                    well = self._health(options["json"])
                case "reconcile":
                    well = self._reconcile(options)
                case _:
                    well = engineconformance.run(options, self.stdout)
        except EngineError as error:
            raise CommandError(f"The engine could not be asked: {error}", returncode=2) from error
        if not well:
            raise SystemExit(1)

    def _health(self, as_json: bool) -> bool:
        health = engine().health()
        if as_json:
            self.stdout.write(json.dumps({"ok": health.ok, **asdict(health)}))
        else:
            self.stdout.write(f"{health.engine} {health.version or '(version unknown)'}")
            for part, trouble in health.parts.items():
                self.stdout.write(f"  {part}: {trouble or 'ok'}")
        return health.ok

    def _reconcile(self, options: dict[str, Any]) -> bool:
        before = drift.compare(engine())
        report = before
        removed = []
        for name in options["delete_extra"]:
            try:
                drift.delete_extra(engine(), name)
            except EngineError as error:
                raise CommandError(f"Not erased: {error}") from error
            removed.append(name)
        if options["repair"]:
            # Domains first: an engine cannot hold a mailbox before its domain.
            for item in sorted(before.drift, key=lambda item: "@" in item.name):
                drift.repair(item)
        if removed or options["repair"]:
            report = drift.compare(engine())
        left = set(report.drift)
        if options["json"]:
            summary = asdict(report)
            summary["drift"] = [{**_plain(item), "repaired": item not in left} for item in before.drift]
            summary |= {"remaining": len(left), "erased": removed}
            self.stdout.write(json.dumps(summary))
        else:
            for item in before.drift:
                note = "" if item in left else " (repaired)"
                told = f": should be {item.wanted}, is {item.found or 'nothing'}" if item.wanted else ""
                self.stdout.write(f"{item.kind} {item.name}{told}{note}")
            self.stdout.write(
                f"{report.engine}: {report.domains} domains, {report.mailboxes} mailboxes, "
                f"{report.under_way} being changed, {len(left)} differences"
            )
            if any(item.kind in drift.EXTRA for item in left):
                self.stdout.write("Extras are kept until they are named: --delete-extra NAME")
        return not left


def _plain(item: drift.Drift) -> dict[str, Any]:
    return {name: value if isinstance(value, str) else value and str(value) for name, value in asdict(item).items()}
