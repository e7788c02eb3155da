"""DMARC policy records (RFC 7489 §6.3): read, write, add our report address to what a domain has."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from deftmail.mailproto.errors import DmarcError
from deftmail.mailproto.sentences import gettext_noop as _
from deftmail.mailproto.taglist import TagListError, Tags, parse_tags, render_tags

Policy = Literal["none", "quarantine", "reject"]

_VERSION = re.compile(r"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")  # §6.4: case-sensitive, and it comes first
_CHOICES = {"sp": {"none", "quarantine", "reject"}, "adkim": {"r", "s"}, "aspf": {"r", "s"}, "rf": {"afrf"}}
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s,!]+(?:![0-9]+[kmgt]?)?\Z", re.IGNORECASE)  # §6.2 dmarc-uri


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """A record as its tags, in order. ``ignored`` names optional tags whose value receivers discard (§6.3)."""

    tags: Tags
    policy: Policy
    ignored: tuple[str, ...] = ()

    def render(self) -> str:
        """Write the record; ``parse(record.render()) == record``."""
        return render_tags(self.tags)

    @property
    def subdomain_policy(self) -> Policy:
        """What is asked for subdomains without a record of their own."""
        return _policy(self._valid("sp")) or self.policy

    @property
    def pct(self) -> int:
        """The share of failing mail the policy is asked for, in percent."""
        return int(self._valid("pct") or "100")

    @property
    def rua(self) -> tuple[str, ...]:
        """The URIs that get aggregate reports."""
        return tuple(uri.strip() for uri in self._valid("rua").split(",") if uri.strip())

    def reports_to(self, address: str) -> bool:
        """Say whether aggregate reports go to the mail address ``address``."""
        return any(uri.partition("!")[0].lower() == f"mailto:{address.lower()}" for uri in self.rua)

    def _valid(self, name: str) -> str:
        return "" if name in self.ignored else dict(self.tags).get(name, "")


def is_dmarc(text: str) -> bool:
    """Say whether a TXT record claims to be DMARC (§6.6.3 step 2 discards all others)."""
    return bool(_VERSION.match(text))


def parse(text: str) -> DmarcRecord:
    """Read one record; bad values of optional tags do not make it invalid, they are listed in ``ignored``.

    Raises :class:`DmarcError`: ``not_dmarc``, ``too_long``, ``bad_tag``, ``repeated``, ``no_policy`` or ``bad_policy``.
    """
    if not is_dmarc(text):
        raise DmarcError("not_dmarc", _("A DMARC record starts with v=DMARC1."))
    try:
        tags = parse_tags(text)
    except TagListError as error:
        raise DmarcError(error.code, _('"%(tag)s" is not a tag of DMARC.'), tag=error.tag) from None
    values = dict(tags)
    if "p" not in values:
        raise DmarcError("no_policy", _("This DMARC record has no policy (p=)."))
    policy = _policy(values["p"])
    if policy is None:
        raise DmarcError("bad_policy", _("The policy is none, quarantine or reject."), policy=values["p"][:40])
    return DmarcRecord(tags, policy, tuple(name for name, value in tags if not _is_valid(name, value)))


def select(texts: Iterable[str]) -> DmarcRecord | None:
    """Pick the DMARC record among the TXT records at ``_dmarc``; ``None`` if there is none.

    Raises :class:`DmarcError` ``many`` (§6.6.3 step 5: more than one and no policy is applied), or as :func:`parse`.
    """
    candidates = [text for text in texts if is_dmarc(text)]
    if len(candidates) > 1:
        raise DmarcError(
            "many", _("There is more than one DMARC record; receivers ignore them all."), count=str(len(candidates))
        )
    return parse(candidates[0]) if candidates else None


def merge(existing: str | None, rua: str, *, policy: Policy = "quarantine") -> str:
    """Return the record to publish so that reports also reach ``rua`` (a mail address).

    An existing record keeps its policy, its order and its other report addresses; merging again changes nothing.
    Raises :class:`DmarcError` where the existing text is not a valid record.
    """
    ours = f"mailto:{rua}"
    if existing is None:
        return f"v=DMARC1; p={policy}; rua={ours}"
    record = parse(existing)
    if record.reports_to(rua):
        return existing
    joined = ",".join((*record.rua, ours))
    if any(name == "rua" for name, _value in record.tags):
        return render_tags(tuple((name, joined if name == "rua" else value) for name, value in record.tags))
    place = next(n for n, (name, _) in enumerate(record.tags) if name == "p") + 1
    return render_tags((*record.tags[:place], ("rua", joined), *record.tags[place:]))


def record_name(domain: str) -> str:
    """Return the name of a domain's DMARC record (§6.1)."""
    return f"_dmarc.{domain}"


def external_report_name(domain: str, rua_domain: str) -> str:
    """Return the name at which ``rua_domain`` must publish ``v=DMARC1`` to take reports about ``domain`` (§7.1)."""
    return f"{domain}._report._dmarc.{rua_domain}"


def _policy(value: str) -> Policy | None:
    lowered = value.lower()
    if lowered == "none":
        return "none"
    if lowered == "quarantine":
        return "quarantine"
    return "reject" if lowered == "reject" else None


def _is_valid(name: str, value: str) -> bool:
    if name in _CHOICES:
        return value.lower() in _CHOICES[name]
    if name == "pct":
        return value.isdecimal() and len(value) <= 3 and int(value) <= 100
    if name == "ri":
        return value.isdecimal() and len(value) <= 10
    if name == "fo":
        return all(option.strip() in ("0", "1", "d", "s") for option in value.split(":"))
    if name in ("rua", "ruf"):
        return all(_URI.match(uri.strip()) for uri in value.split(","))
    return True
