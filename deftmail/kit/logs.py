"""Structured logs: one JSON object a line on standard output (readable text on a terminal)."""

from __future__ import annotations

import logging.config
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

# What follows opens an account (sign-up, password, address) or belongs to one person (undo).
_LINKS = re.compile(
    r"(/signup/confirm/|/account/address/|/mail/undo/|/password/reset/[0-9A-Za-z]+-)(?!set-password\b)[^\s?\"'<>]+"
)


def without_secrets_of_links(text: str) -> str:
    """`text` with the secret part of our own links taken out: whoever reads logs must not be able to use them."""
    return _LINKS.sub(r"\1…", text)


def _without_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    # Django's own lines carry the path in their text ("Gone: /signup/confirm/…").
    for name in ("event", "path"):
        if isinstance(value := event.get(name), str):
            event[name] = without_secrets_of_links(value)
    return event


def configure(config: dict[str, Any] | None = None) -> None:
    """Route Django's, ours and the libraries' logs through structlog with the request's context.

    `config`'s "cached" (default true): loggers keep what they found at first use; tests that look at lines need false.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        _without_secrets,
    ]
    renderer: Any = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "structured": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": shared,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        structlog.processors.format_exc_info,
                        renderer,
                    ],
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
            "root": {"handlers": ["stderr"], "level": "INFO"},
            "loggers": {
                "httpx2": {"level": "WARNING"},
                "httpcore2": {"level": "WARNING"},
                "procrastinate": {"level": "WARNING"},
                "uvicorn.access": {"level": "WARNING"},
            },
        }
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=(config or {}).get("cached", True),
    )
