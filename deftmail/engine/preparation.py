"""Setting a mail engine up, and finding out what is wrong with it. It knows drivers, as only the registry does else."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import SecretStr

from deftmail.engine.registry import engine
from deftmail.kit.conf import conf


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a set-up did, or with `dry_run` would do. `settings`: variables that belong into the environment now."""

    steps: tuple[str, ...]
    notes: tuple[str, ...]
    settings: dict[str, SecretStr]


def callback() -> str:
    """Origin at which the engine reaches our web."""
    return (conf.stalwart_callback_url or conf.base_url).rstrip("/")


def setup_stalwart(
    url: str, admin: SecretStr, *, back: str = "", dry_run: bool = False, new_key: bool = False
) -> Prepared:
    """Take a Stalwart to what we need. `admin`: `user:password`; `back`: as `callback`, which it replaces.

    Safe to repeat: what is as it should be is left. Raises EngineError; what was done until then stays and counts.
    """
    from deftmail.engine.drivers.stalwart import setup
    from deftmail.engine.drivers.stalwart.wanted import Wanted
    from deftmail.engine.drivers.stalwart.wire import Management

    wanted = Wanted(callback=back.rstrip("/") or callback(), operator_domain=conf.operator_domain)
    known = conf.stalwart_api_key.get_secret_value()
    basic = base64.b64encode(admin.get_secret_value().encode()).decode()
    server = Management(url, f"Basic {basic}")
    ours = Management(url, f"Bearer {known}")
    try:
        found = setup.read(server, wanted)
        todo = setup.plan(found, wanted, key_works=bool(known) and setup.answers(ours), new_key=new_key)
        steps = tuple(step.sentence for step in todo.steps)
        if dry_run:
            return Prepared(steps, todo.notes, {})
        outcome = setup.apply(server, todo)
    finally:
        server.close()
        ours.close()
    settings = {}
    if outcome.api_key is not None:
        settings = {
            "DEFTMAIL_ENGINE": SecretStr("stalwart"),
            "DEFTMAIL_STALWART_URL": SecretStr(url),
            "DEFTMAIL_STALWART_ACCOUNT": SecretStr(outcome.account),
            "DEFTMAIL_STALWART_CALLBACK_URL": SecretStr(wanted.callback),
            "DEFTMAIL_STALWART_API_KEY": outcome.api_key,
        }
    return Prepared(steps, todo.notes, settings)


def troubles() -> Iterable[str]:
    """What is wrong with the engine of this installation, one sentence each; none when it is well. Never raises."""
    if conf.engine == "stalwart":
        from deftmail.engine.drivers.stalwart.doctor import examine
        from deftmail.engine.drivers.stalwart.wanted import Wanted
        from deftmail.engine.drivers.stalwart.wire import Management

        key = conf.stalwart_api_key.get_secret_value()
        server = Management(conf.stalwart_url, f"Bearer {key}")
        try:
            yield from examine(
                server, Wanted(callback(), conf.operator_domain), has_key=bool(key), account=conf.stalwart_account
            )
        finally:
            server.close()
        return
    for part, trouble in engine().health().parts.items():
        if trouble:
            yield f"{part}: {trouble}"
