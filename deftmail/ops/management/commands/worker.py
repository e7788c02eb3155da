"""`deftmail worker`: runs the jobs (DNS checks, engine sync, mail)."""

from __future__ import annotations

import asyncio
from typing import Any

from django.core.management import BaseCommand

from deftmail.ops.worker import run_until_told


class Command(BaseCommand):
    help = "Run background jobs from PostgreSQL until stopped; SIGTERM finishes the running ones."

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(run_until_told())
