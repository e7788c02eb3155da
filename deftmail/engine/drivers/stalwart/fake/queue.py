"""Mail in and out of the fake: SMTP's stages with throttles and hooks, the queue, delivery.

One session as Stalwart runs it, for a mail program, another server and a JMAP submission alike: MAIL, each RCPT, DATA.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from deftmail.engine.drivers.stalwart.fake import expressions
from deftmail.engine.drivers.stalwart.fake.hooks import ask_hooks, tell_webhooks
from deftmail.engine.drivers.stalwart.fake.mail import Refusal, StalwartMailbox, now

if TYPE_CHECKING:
    from deftmail.engine.drivers.stalwart.fake.server import FakeStalwart

Object = dict[str, Any]
Target = StalwartMailbox | str  # a mailbox here, an address elsewhere


class Queue:
    """`outside`: (sender, recipient, content) of what left."""

    def __init__(self, server: FakeStalwart) -> None:
        self._server = server
        self.outside: list[tuple[str, str, bytes]] = []
        self.clock = time.monotonic
        self._counted: dict[tuple[str, ...], deque[float]] = defaultdict(deque)

    def session(
        self, account_id: str | None, sender: str, recipients: Sequence[str], content: bytes, *, door: str = "smtp"
    ) -> dict[str, Refusal | None]:
        """What became of each recipient. account_id: who is signed in, None for another server.

        Raises Refusal at MAIL or at DATA.
        """
        registry = self._server.registry
        login, own = "", {sender}
        if account_id is not None:
            one = registry.objects["Account"][account_id]
            login = registry.address(one)
            own = set(registry.every_address(one))
        facts = {"authenticated_as": login, "sender": sender, "sender_domain": sender.rpartition("@")[2]}
        facts |= {"remote_ip": "127.0.0.1", "door": door}
        if sender not in own:
            raise Refusal(501, "5.5.4 You are not allowed to send from this address.", "MAIL-FROM")
        self._throttle(facts, "MAIL-FROM")
        outcomes: dict[str, Refusal | None] = {}
        targets: dict[str, list[tuple[str, Target]]] = {}
        for recipient in recipients:
            try:
                targets[recipient] = self._recipient(facts, sender, [*targets, recipient])
                outcomes[recipient] = None
            except Refusal as error:
                outcomes[recipient] = error
        if not targets:
            return outcomes
        ask_hooks(registry.applied["MtaHook"], "data", facts, sender, list(targets), content)
        self._deliver(sender, [one for each in targets.values() for one in each], content)
        return outcomes

    def _recipient(self, facts: Object, sender: str, recipients: list[str]) -> list[tuple[str, Target]]:
        recipient = recipients[-1]
        facts |= {"rcpt": recipient, "rcpt_domain": recipient.rpartition("@")[2]}
        # Before it is known whether there is such a mailbox.
        ask_hooks(self._server.registry.applied["MtaHook"], "rcpt", facts, sender, recipients, b"")
        targets = self._expanded(recipient)
        if any(isinstance(target, str) for _, target in targets) and not facts["authenticated_as"]:
            raise Refusal(550, "5.1.2 Relay not allowed.", "RCPT")
        self._throttle(facts, "RCPT")
        return targets

    def _throttle(self, facts: Object, stage: str) -> None:
        names = {"remoteIp": "remote_ip", "senderDomain": "sender_domain", "sender": "sender"}
        names |= {"rcpt": "rcpt", "rcptDomain": "rcpt_domain", "authenticatedAs": "authenticated_as"}
        for throttle in self._server.registry.applied["MtaInboundThrottle"]:
            keys = {key for key, on in throttle["key"].items() if on}
            if bool(keys & {"rcpt", "rcptDomain"}) != (stage == "RCPT") or not throttle["enable"]:
                continue
            # The branches of its condition are never read.
            if not expressions.value_of(throttle["match"]["else"], facts):
                continue
            times = self._counted[throttle["id"], *(facts.get(names.get(key, ""), "") for key in sorted(keys))]
            while times and times[0] < self.clock() - throttle["rate"]["period"] / 1000:
                times.popleft()
            if len(times) >= throttle["rate"]["count"]:
                raise Refusal(452, "4.4.5 Rate limit exceeded, try again later.", stage)
            times.append(self.clock())

    def _deliver(self, sender: str, targets: Sequence[tuple[str, Target]], content: bytes) -> None:
        registry = self._server.registry
        waiting: Object = {}
        for address, target in targets:
            if isinstance(target, str):
                self.outside.append((sender, target, content))
            else:
                try:
                    target.deliver(content)
                except Refusal as error:
                    # Taken already: it stays in the queue and is tried again.
                    enhanced, _, message = str(error).partition(" ")
                    status: Object = {"@type": "TemporaryFailure", "errorType": "unexpectedResponse"}
                    status |= {"responseCode": error.code, "responseEnhanced": enhanced, "responseMessage": message}
                    waiting[address] = {"retryCount": 1, "queueName": "local", "flags": {}, "status": status}
                    continue
            host = "192.0.2.2" if isinstance(target, str) else "localhost"
            event = {"from": sender, "to": address, "hostname": host, "code": 250, "details": "OK"}
            tell_webhooks(registry.applied["WebHook"], "delivery.dsn-success", event)
        if waiting:
            queued = {"returnPath": sender, "size": len(content), "createdAt": now(), "recipients": waiting}
            registry.insert("QueuedMessage", queued)

    def _expanded(self, recipient: str) -> list[tuple[str, Target]]:
        registry = self._server.registry
        local, _, name = recipient.partition("@")
        domains = registry.objects["Domain"].values()
        domain = next((one for one in domains if name in {one["name"], *one["aliases"]}), None)
        if domain is None:
            return [(recipient, recipient)]
        address = f"{local}@{domain['name']}"
        for account_id, one in registry.objects["Account"].items():
            if address in {registry.address(one), *registry.alias_addresses(one, enabled=True)}:
                return [(recipient, self._server.mailbox(account_id))]
        for one in registry.objects["MailingList"].values():
            if address in {registry.address(one), *registry.alias_addresses(one, enabled=True)}:
                return [target for member in one["recipients"] for target in self._expanded(member)]
        catch_all = domain["catchAllAddress"]
        if catch_all and catch_all != recipient:
            return self._expanded(catch_all)
        raise Refusal(550, "5.1.2 Mailbox does not exist.", "RCPT")
