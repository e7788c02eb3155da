"""What is wrong between us and a Stalwart, one line each: the server, our key, its settings, the way back to us."""

from __future__ import annotations

import httpx2

from deftmail.engine.drivers.stalwart.setup import plan, read
from deftmail.engine.drivers.stalwart.wanted import HOOK_PATH, Wanted
from deftmail.engine.drivers.stalwart.wire import Management
from deftmail.engine.errors import EngineAuthFailed, EngineError
from deftmail.engine.shared import Purpose, secret_for

TIMEOUT = 5.0
"""Seconds for our own hook to answer; Stalwart itself waits twice as long."""


def examine(
    server: Management, wanted: Wanted, *, has_key: bool, account: str, transport: httpx2.BaseTransport | None = None
) -> list[str]:
    """All that is wrong, as sentences; empty when well. Changes nothing and raises nothing.

    has_key, account: whether our settings hold a key, and the service account they name; transport: for tests
    """
    troubles = []
    if not has_key:
        troubles.append("DEFTMAIL_STALWART_API_KEY is empty: `deftmail engine setup stalwart` issues a key")
    else:
        troubles += _server(server, wanted, account)
    if trouble := _way_back(wanted, transport):
        troubles.append(trouble)
    return troubles


def _server(server: Management, wanted: Wanted, account: str) -> list[str]:
    try:
        todo = plan(read(server, wanted), wanted, key_works=True)
    except EngineAuthFailed as error:
        return [f"{server.url} refuses our key, or the key may not read the settings: {error}"]
    except EngineError as error:
        return [f"{server.url}: {error}"]
    troubles = [f"not as it should be: {step.sentence}" for step in todo.steps]
    if account != todo.account:
        troubles.append(f"DEFTMAIL_STALWART_ACCOUNT is {account or 'empty'}, the service account is {todo.account}")
    return troubles


def _way_back(wanted: Wanted, transport: httpx2.BaseTransport | None) -> str:
    """Ask our own hook, as Stalwart would, about a stage at which nothing is decided."""
    url = wanted.callback + HOOK_PATH
    headers = {"Authorization": f"Bearer {secret_for(Purpose.HOOK)}"}
    try:
        with httpx2.Client(timeout=TIMEOUT, trust_env=False, transport=transport) as client:
            response = client.post(url, json={"context": {"stage": "ehlo"}}, headers=headers)
    except httpx2.HTTPError as error:
        return f"our hook at {url} cannot be reached: {type(error).__name__} (DEFTMAIL_STALWART_CALLBACK_URL)"
    if response.status_code == 401:
        return f"our hook at {url} refuses the secret made here: DEFTMAIL_SECRET_KEY differs there"
    if response.status_code != 200:
        return f"our hook at {url} answers HTTP {response.status_code} (DEFTMAIL_STALWART_CALLBACK_URL)"
    return ""
