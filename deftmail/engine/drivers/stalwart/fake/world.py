"""The fake's doors for the conformance suite."""

from __future__ import annotations

from deftmail.engine.conformance.world import DeliveryRefused
from deftmail.engine.drivers.stalwart.driver import StalwartEngine
from deftmail.engine.drivers.stalwart.fake.mail import Refusal
from deftmail.engine.drivers.stalwart.fake.server import FakeStalwart
from deftmail.engine.drivers.stalwart.world import StalwartWorld

URL = "http://stalwart.test"


def engine_on(fake: FakeStalwart) -> StalwartEngine:
    """A driver on a fake, as its service account with a key of its own."""
    registry = fake.registry
    taken = [id_ for id_, one in registry.objects["Account"].items() if one["name"] == "deftmail-service"]
    account_id = taken[0] if taken else ""
    if not account_id:
        service = {"@type": "User", "name": "deftmail-service", "domainId": "b", "roles": {"@type": "Admin"}}
        account_id = registry.create("Account", service)["id"]
    key = registry.create("ApiKey", {"description": "control plane"}, account_id)["secret"]
    return StalwartEngine(URL, f"Bearer {key}", operator_domain="mail.test", transport=fake.transport())


class FakeDoors:
    """Mail by plain calls."""

    def __init__(self, fake: FakeStalwart) -> None:
        self._fake = fake

    def bind(self, world: StalwartWorld) -> None:
        return

    def deliver(self, address: str, content: bytes) -> None:
        try:
            self._fake.smtp_receive("sender@outside.test", [address], content)
        except Refusal as error:
            raise DeliveryRefused(str(error), temporary=error.code < 500) from error

    def submit(self, login: str, password: str, sender: str, recipient: str, content: bytes) -> None:
        try:
            self._fake.smtp_submit(login, password, sender, [recipient], content)
        except Refusal as error:
            raise DeliveryRefused(str(error), temporary=error.code < 500) from error

    def signs_in(self, address: str, password: str) -> bool:
        return self._fake.signs_in(address, password)

    def close(self) -> None:
        return


def fake_world(fake: FakeStalwart | None = None) -> StalwartWorld:
    """A world on a fake, with an outside that takes everything."""
    fake = fake or FakeStalwart()
    return StalwartWorld(engine_on(fake), FakeDoors(fake), sink="somebody@elsewhere.test")
