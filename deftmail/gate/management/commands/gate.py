"""`deftmail gate`: the process that Cyrus and Postfix ask."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError

from deftmail.gate.service import AlreadyRunning, Gate
from deftmail.kit.conf import conf
from deftmail.kit.database import bound_answers


class Command(BaseCommand):
    help = "Answer the mail server's questions: may this login in, may this message leave or enter. Runs until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        bound_answers(3)  # Postfix and Cyrus wait for us, and hear "later" before they give up
        configuration = ("-c", conf.postfix_config) if conf.postfix_config else ()
        gate = Gate(
            sasl_socket=Path(conf.gate_sasl_socket),
            policy=conf.gate_policy,
            http=conf.gate_http,
            mail_log=Path(conf.mail_log) if conf.mail_log else None,
            queue_command=("/usr/sbin/postqueue", *configuration, "-j"),
            sessions_socket=conf.cyrus_sessions_socket,
        )
        try:
            asyncio.run(gate.run())
        except (OSError, AlreadyRunning) as error:
            raise CommandError(f"The gate cannot start: {error}") from error
