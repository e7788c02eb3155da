"""`deftmail worker`: runs the jobs (DNS checks, engine sync, mail)."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand, call_command


class Command(BaseCommand):
    help = "Run background jobs from PostgreSQL until stopped; SIGTERM finishes the running ones."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("procrastinate", "worker")
