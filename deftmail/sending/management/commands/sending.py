"""`deftmail sending simulate`: what would happen if this mailbox sent so much now."""

from __future__ import annotations

import json
import time
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from deftmail.kit.conf import conf
from deftmail.kit.tenancy import tenant_tx
from deftmail.sending import counters
from deftmail.sending.limits import Meter
from deftmail.sending.selectors.system import mailbox_by_address
from deftmail.sending.simulate import PATIENCE, simulate
from deftmail.tenants import audit
from deftmail.tenants.actor import Actor


class Command(BaseCommand):
    help = "Ask the gate about messages that nobody sends; they count towards the mailbox's limits."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="what", required=True)
        one = commands.add_parser("simulate", help="make real decisions through the policy port; nothing is sent")
        one.add_argument("--mailbox", required=True, metavar="ADDRESS")
        one.add_argument("--messages", type=int, default=1)
        one.add_argument("--recipients", type=int, default=1, help="made-up outside recipients of each message")
        one.add_argument("--parallel", type=int, default=1, help="processes")
        one.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        address = options["mailbox"].strip().lower()
        if not 1 <= options["messages"] <= 1_000_000:
            raise CommandError("--messages: 1 to 1000000")
        if not 1 <= options["recipients"] <= 10_000:
            raise CommandError("--recipients: 1 to 10000")
        if not 1 <= options["parallel"] <= 64:
            raise CommandError("--parallel: 1 to 64")
        self._write_down(address, options["messages"], options["recipients"])
        host, _colon, port = conf.gate_policy.rpartition(":")
        try:
            tally = simulate(
                (host, int(port)),
                address,
                messages=options["messages"],
                recipients=options["recipients"],
                parallel=options["parallel"],
            )
        except OSError as error:
            raise CommandError(f"The gate does not answer on {conf.gate_policy}: {error}") from error
        meter = self._meter(address, options["recipients"])
        result = {
            "allowed": tally.allowed,
            "refused": tally.refused,
            "limit": meter.maximum if meter is not None else None,
            "used": meter.used if meter is not None else None,
        }
        if options["json"]:
            self.stdout.write(json.dumps(result))
            return
        self.stdout.write(f"{tally.allowed} messages allowed, {tally.refused} refused")
        if meter is not None:
            most = "unlimited" if meter.maximum is None else str(meter.maximum)
            self.stdout.write(f"{meter.label}: {meter.used} used of {most}")
        if tally.sentence:
            self.stdout.write(tally.sentence)

    @staticmethod
    def _write_down(address: str, messages: int, recipients: int) -> None:
        """It uses up what the mailbox may send: its company can see who did that."""
        mailbox = mailbox_by_address(address)
        if mailbox is not None:
            with tenant_tx(mailbox.tenant_id):
                actor = Actor.system(mailbox.tenant_id, audit.command_line())
                audit.record(actor, "sending.simulated", mailbox, messages=messages, recipients=recipients)

    @staticmethod
    def _meter(address: str, recipients: int) -> Meter | None:
        """The counter that stops the next such message, or else the mailbox's day."""
        mailbox = mailbox_by_address(address)
        if mailbox is None:
            return None
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                meters = counters.usage_of_mailbox(mailbox)
                break
            except counters.CountersAway as error:
                if time.monotonic() > deadline:
                    raise CommandError("Redis does not answer: what is used is not known") from error
                time.sleep(0.2)
        full = [meter for meter in meters if meter.left is not None and meter.left < recipients]
        return full[0] if full else meters[0]
