"""`deftmail setup`: database up to date and granted. Runs before every start; safe to repeat."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand, CommandError, call_command
from django.db import connections

from deftmail.kit.rls import apply_grants


class Command(BaseCommand):
    help = "Migrate the database as its owner and give every role its rights. Safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        if "owner" not in connections:
            raise CommandError("Set DEFTMAIL_DATABASE_OWNER_URL: migrations run as deftmail_owner.")
        call_command("migrate", database="owner", interactive=False, verbosity=options["verbosity"])
        with connections["owner"].cursor() as cursor:
            apply_grants(cursor)
