"""`deftmail demo`: the demo company, once. Runs at the first `make run`."""

from __future__ import annotations

import json
from typing import Any

from django.core.management import BaseCommand, CommandError

from deftmail.domains.selectors.system import claims_of
from deftmail.kit.conf import conf
from deftmail.ops import demo


class Command(BaseCommand):
    help = "Make the demo company Acme with the domain acme.test and two mailboxes (local and test mode, once)."

    def handle(self, *args: Any, **options: Any) -> None:
        if conf.is_production:
            raise CommandError("The demo is for local and test mode.")
        if claims_of(demo.DOMAIN):
            return
        try:
            made = demo.make()
        except demo.DemoError as error:
            raise CommandError(f"The demo was not made: {error}") from error
        self.stdout.write(
            json.dumps(
                {"owner": made.owner, "mailboxes": made.mailboxes, "password": made.password, "url": conf.base_url}
            )
        )
