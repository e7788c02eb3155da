"""The records a domain should publish: the operator's, merged into what stands there today."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from deftmail.mailproto import dkim, dmarc, spf
from deftmail.mailproto.dnsanswer import Answer
from deftmail.mailproto.errors import DmarcError, SpfError

Purpose = Literal["mx", "spf", "dkim", "dmarc"]


@dataclass(frozen=True, slots=True)
class Expected:
    """What the operator asks of one domain. All names are A-labels without a last dot."""

    domain: str
    mx_host: str
    spf_include: str
    dkim_selector: str
    dkim_public_b64: str
    dmarc_rua: str  # a mail address
    mx_preference: int = 10

    @property
    def dkim_name(self) -> str:
        """Where the key is published."""
        return dkim.record_name(self.dkim_selector, self.domain)

    @property
    def dmarc_name(self) -> str:
        """Where the policy is published."""
        return dmarc.record_name(self.domain)


@dataclass(frozen=True, slots=True)
class DomainAnswers:
    """What the DNS said today about the four records.

    ``doubled`` holds names such as ``_dmarc.acme.test.acme.test`` that exist although they should not: the mistake of
    entering a full name where the provider adds the domain.
    """

    mx: Answer
    txt: Answer
    dkim: Answer
    dmarc: Answer
    doubled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SuggestedRecord:
    """One record to publish. ``value`` is unquoted and unsplit; an MX has its host there and its preference in
    ``priority``. ``replaces`` lists the values standing there today that must go.
    """

    purpose: Purpose
    type: Literal["MX", "TXT"]
    name: str
    value: str
    priority: int | None = None
    replaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class MxRecord:
    """One MX record; ``host`` is empty for a null MX (RFC 7505)."""

    preference: int
    host: str


def parse_mx(values: Sequence[str]) -> tuple[MxRecord, ...]:
    """Read ``"10 mail.example.org"`` records, lowest preference first; what is not one is left out."""
    found = []
    for value in values:
        preference, _, host = value.strip().partition(" ")
        if preference.isascii() and preference.isdigit() and len(preference) <= 5:
            found.append(MxRecord(int(preference), host.strip().lower().rstrip(".")))
    return tuple(sorted(found))


def relative_name(name: str, domain: str) -> str:
    """Return the short name that DNS providers ask for: ``@``, ``default._domainkey``."""
    if name == domain:
        return "@"
    return name.removesuffix("." + domain)


def suggest_records(expected: Expected, answers: DomainAnswers | None = None) -> tuple[SuggestedRecord, ...]:
    """Return the records to publish, in the order MX, SPF, DKIM, DMARC; never raises.

    An SPF or DMARC record already there is kept and merged, several are joined to one, a broken one is repaired. A
    domain without DMARC that sends elsewhere today starts at ``p=none``. Without ``answers`` nothing exists yet.
    """
    nothing = Answer("noanswer")
    answers = answers or DomainAnswers(nothing, nothing, nothing, nothing)
    return (
        _suggest_mx(expected, answers.mx),
        _suggest_spf(expected, answers.txt),
        _suggest_dkim(expected, answers.dkim),
        _suggest_dmarc(expected, answers),
    )


def sends_elsewhere(expected: Expected, answers: DomainAnswers) -> bool:
    """Say whether other servers seem to send or receive for the domain today."""
    ours = expected.mx_host.lower()
    if any(mx.host and mx.host != ours for mx in parse_mx(answers.mx.records)):
        return True
    for text in answers.txt.records:
        if not spf.is_spf(text):
            continue
        record = spf.salvage(text)
        include = record.includes(expected.spf_include)
        if record.redirect or any(m.name not in ("all", "mx") and m not in include for m in record.mechanisms):
            return True
    return False


def _suggest_mx(expected: Expected, answer: Answer) -> SuggestedRecord:
    # A host with a higher preference is a back-up and may stay; the check warns about it.
    rivals = tuple(
        f"{mx.preference} {mx.host or '.'}"
        for mx in parse_mx(answer.records)
        if mx.host != expected.mx_host.lower() and mx.preference <= expected.mx_preference
    )
    return SuggestedRecord("mx", "MX", expected.domain, expected.mx_host, expected.mx_preference, rivals)


def _suggest_spf(expected: Expected, answer: Answer) -> SuggestedRecord:
    existing = [text for text in answer.records if spf.is_spf(text)]
    if not existing:
        return SuggestedRecord("spf", "TXT", expected.domain, spf.merge(None, expected.spf_include))
    base = existing[0]
    try:
        spf.select(existing)
    except SpfError:
        repaired = [spf.salvage(text) for text in existing]
        base = (repaired[0] if len(repaired) == 1 else spf.combine(repaired)).render()
    value = spf.merge(base, expected.spf_include)
    return SuggestedRecord("spf", "TXT", expected.domain, value, None, tuple(t for t in existing if t != value))


def _suggest_dkim(expected: Expected, answer: Answer) -> SuggestedRecord:
    value = dkim.key_record_value(expected.dkim_public_b64)
    others = tuple(text for text in answer.records if text != value)
    return SuggestedRecord("dkim", "TXT", expected.dkim_name, value, None, others)


def _suggest_dmarc(expected: Expected, answers: DomainAnswers) -> SuggestedRecord:
    existing = [text for text in answers.dmarc.records if dmarc.is_dmarc(text)]
    policy: dmarc.Policy = "none" if sends_elsewhere(expected, answers) else "quarantine"
    value = dmarc.merge(None, expected.dmarc_rua, policy=policy)
    for text in existing:
        try:
            value = dmarc.merge(text, expected.dmarc_rua)
        except DmarcError:
            continue
        break
    return SuggestedRecord("dmarc", "TXT", expected.dmarc_name, value, None, tuple(t for t in existing if t != value))
