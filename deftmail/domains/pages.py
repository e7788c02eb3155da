"""What the domain pages say, worked out here so that templates only lay it out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from deftmail.domains.models import Domain
from deftmail.domains.records import Check, checks_of
from deftmail.kit.models import SyncState
from deftmail.mailproto.dkim import zone_txt

NAMES = (("MX", "mx"), ("SPF", "spf"), ("DKIM", "dkim"), ("DMARC", "dmarc"))
WHAT: dict[str, Promise] = {
    "mx": gettext_lazy("Tells other servers to deliver your mail here."),
    "spf": gettext_lazy("Lists the servers that may send mail in your name."),
    "dkim": gettext_lazy("The public key that proves your mail is really yours. Finding it proves you own the domain."),
    "dmarc": gettext_lazy("Says what receivers should do with mail that fails the other two."),
}
# The states of a check in the words of the style guide: a DNS that did not answer is not a wrong record.
SHOWN = {"unknown": "error", "pending": "unknown"}


@dataclass(frozen=True)
class Flag:
    """One of the four checks in a list row. `opened`: the domain is active, so a record that is not right broke."""

    name: str
    right: bool
    opened: bool

    @property
    def icon(self) -> str:
        return "circle-check" if self.right else "triangle-alert" if self.opened else "circle-dashed"

    @property
    def tone(self) -> str:
        return "text-good" if self.right else "text-warn" if self.opened else "muted"

    @property
    def label(self) -> str:
        if self.right:
            return _("%(record)s is right") % {"record": self.name}
        if self.opened:
            return _("%(record)s is no longer right") % {"record": self.name}
        return _("%(record)s is not right yet") % {"record": self.name}


def status_of(domain: Domain) -> str:
    """The one word for a domain: its status, or what matters more."""
    if domain.held_elsewhere_at:
        return "refused"
    return "degraded" if domain.is_degraded else domain.status


def flags_of(domain: Domain) -> list[Flag]:
    """The four checks, right or not."""
    opened = domain.status == Domain.Status.ACTIVE
    return [Flag(name, getattr(domain, f"{purpose}_verified"), opened) for name, purpose in NAMES]


def records_line(domain: Domain) -> str:
    """How the four records stood at the last look, and what that look alone does not mean."""
    if domain.records_right == 4:
        return _("All four are in your DNS.")
    line = ngettext("%(count)s of 4 records is right.", "%(count)s of 4 records are right.", domain.records_right) % {
        "count": domain.records_right
    }
    if domain.status == Domain.Status.ACTIVE and not domain.is_degraded:
        return f"{line} {_('We look again before we call it broken.')}"
    return line


def mail_line(domain: Domain) -> str:
    """Whether mail of the domain arrives and leaves, by what its records were when last seen."""
    words = {"domain": domain.domain_unicode}
    if domain.status != Domain.Status.ACTIVE:
        if domain.records_right == 4:
            return _("Mail arrives and leaves as soon as %(domain)s is active.") % words
        return _("Mail arrives and leaves as soon as all four DNS records of %(domain)s are right.") % words
    if not domain.mx_verified:
        return _("What is sent to %(domain)s may go elsewhere until its MX record is right again.") % words
    if domain.records_right < 4:
        return _("Mail arrives and leaves, but receivers may refuse some until all four DNS records are right again.")
    return _("Mail arrives and leaves.")


class Row:
    """A domain in the list."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self.status = status_of(domain)
        self.flags = flags_of(domain)


@dataclass(frozen=True)
class Step:
    """One step of the progress header. `state`: done, now or todo."""

    state: str
    title: str | Promise
    text: str | Promise


@dataclass(frozen=True)
class Card:
    """One record on the page: what to publish, what was found, what to do."""

    check: Check
    title: str
    what: str | Promise
    state: str

    @property
    def is_mx(self) -> bool:
        return self.check.purpose == "mx"

    @property
    def short_differs(self) -> bool:
        """Whether the short name says something the full one does not."""
        return self.check.record.host != self.check.record.name

    @property
    def found_as_expected(self) -> bool:
        """Exactly what is asked for stands there, so it need not be shown twice."""
        return self.check.state == "pass" and self.check.found == (self.check.expected,)

    @property
    def replaces(self) -> tuple[str, ...]:
        """What must go, where that is not simply all that was found."""
        replaces = self.check.record.replaces
        return () if set(replaces) == set(self.check.found) else replaces

    @property
    def message(self) -> str:
        """What we understood, unless the badge has said it all."""
        return "" if self.check.state in ("pass", "pending") else self.check.message


class DomainPage:
    """The detail page of a domain."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self.status = status_of(domain)

    @cached_property
    def cards(self) -> list[Card]:
        titles = {purpose: name for name, purpose in NAMES}
        return [
            Card(check, titles[check.purpose], WHAT[check.purpose], SHOWN.get(check.state, check.state))
            for check in checks_of(self.domain)
        ]

    @property
    def found_line(self) -> str:
        """The result in a sentence, also read out after a look."""
        return records_line(self.domain)

    @property
    def is_settled(self) -> bool:
        """Nothing is expected to change by itself soon, so the page need not ask."""
        if self.domain.is_proven and self.domain.sync_state == SyncState.PENDING:
            return False
        return self.domain.status in (Domain.Status.ACTIVE, Domain.Status.FAILED)

    @property
    def poll(self) -> str | None:
        """The htmx trigger of the living part while it is not settled."""
        return None if self.is_settled else "every 20s"

    @property
    def sync_failed(self) -> bool:
        return self.domain.is_proven and self.domain.sync_state == SyncState.FAILED

    @property
    def provisioning(self) -> str:
        """The engine's state as a word of the style guide; empty before there is anything to configure."""
        if not self.domain.is_proven:
            return ""
        return {SyncState.PENDING: "provisioning", SyncState.READY: "ready"}.get(
            SyncState(self.domain.sync_state), "failed"
        )

    @property
    def steps(self) -> list[Step]:
        """Publish, prove, open: where the domain stands on its way."""
        domain = self.domain
        active = domain.status == Domain.Status.ACTIVE
        return [
            Step("done" if domain.records_right == 4 else "now", _("Publish the records"), self.found_line),
            Step(
                "done" if domain.is_proven else "todo",
                _("Ownership proven"),
                _("Mailboxes can be made.")
                if domain.is_proven
                else _("As soon as we find the DKIM record. Mailboxes can be made from then on."),
            ),
            Step(
                "done" if active else ("now" if domain.status == Domain.Status.VERIFIED else "todo"),
                _("Active"),
                mail_line(domain) if active else _("By itself, when all four records are right. We tell you by mail."),
            ),
        ]

    @property
    def zone_lines(self) -> str:
        """The four records as lines of a zone file (RFC 1035 §5.1)."""
        lines = []
        for card in self.cards:
            record = card.check.record
            data = zone_txt(record.value) if record.type == "TXT" else f"{record.priority} {record.value}."
            lines.append(f"{record.name}. 3600 IN {record.type} {data}")
        return "\n".join(lines)
