"""`deftmail web`: the console, webmail and API by uvicorn."""

from __future__ import annotations

from typing import Any

import uvicorn
from django.core.management import BaseCommand

from deftmail.kit.conf import conf


class Command(BaseCommand):
    help = "Serve the console, the webmail and the API on DEFTMAIL_WEB_HOST:DEFTMAIL_WEB_PORT."
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django reads a list

    def handle(self, *args: Any, **options: Any) -> None:
        uvicorn.run(
            "deftmail.asgi:application",
            host=conf.web_host,
            port=conf.web_port,
            workers=conf.web_workers if conf.web_workers > 1 else None,
            lifespan="off",
            # Without a bound one open event stream keeps the process for ever after SIGTERM.
            timeout_graceful_shutdown=10,
            proxy_headers=False,  # kit.net reads X-Forwarded-For, with the number of proxies believed
            server_header=False,
            access_log=False,
            log_config=None,
        )
