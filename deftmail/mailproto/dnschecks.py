"""The four checks of a domain: what we asked, what we saw, what we understood, what to do.

Records are parsed, never searched for a piece of text. A DNS failure is ``unknown``, never a fault of the domain.
"""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from deftmail.mailproto import dkim, dmarc, spf
from deftmail.mailproto.dnsanswer import Answer, Resolver
from deftmail.mailproto.dnsrecords import (
    DomainAnswers,
    Expected,
    Purpose,
    SuggestedRecord,
    parse_mx,
    relative_name,
    suggest_records,
)
from deftmail.mailproto.errors import DkimError, DmarcError, SpfError
from deftmail.mailproto.sentences import SENTENCES, Sentence

State = Literal["pass", "fail", "missing", "unknown"]

MAX_SHOWN = 20  # records of one answer that a result keeps
MAX_SHOWN_LENGTH = 1000  # characters of each


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check. ``code`` and ``warnings`` are keys of :mod:`~deftmail.mailproto.sentences`, filled by ``params``."""

    purpose: Purpose
    state: State
    asked: str  # "TXT _dmarc.acme.test"
    found: tuple[str, ...]  # what stands there now
    expected: str  # what should stand there, merged with what exists
    code: str
    params: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def said(self, translate: Callable[[str], str] = str) -> Sentence:
        """What we understood and what to do, in the language of ``translate`` (a ``gettext``)."""
        values = dict(self.params)
        if "why" in values:  # a refusal's own sentence, which takes its values from the same place
            values["reason"] = translate(values["why"]) % values
        return Sentence(*(translate(text) % values if text else "" for text in SENTENCES[self.code]))

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a JSON column."""
        return {
            "purpose": self.purpose,
            "state": self.state,
            "asked": self.asked,
            "found": list(self.found),
            "expected": self.expected,
            "code": self.code,
            "params": dict(self.params),
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "CheckResult":
        """Read what :meth:`to_json` wrote."""
        return cls(**{**data, "found": tuple(data["found"]), "warnings": tuple(data["warnings"])})


@dataclass(frozen=True, slots=True)
class Checks:
    """The four results and the records to publish."""

    mx: CheckResult
    spf: CheckResult
    dkim: CheckResult
    dmarc: CheckResult
    records: tuple[SuggestedRecord, ...] = ()

    def __iter__(self) -> Iterator[CheckResult]:
        return iter((self.mx, self.spf, self.dkim, self.dmarc))

    @property
    def all_pass(self) -> bool:
        """All four pass: the domain is verified."""
        return all(check.state == "pass" for check in self)

    @property
    def owned(self) -> bool:
        """Our exact DKIM key stands there, which only the owner of the domain can have done."""
        return self.dkim.state == "pass"

    @property
    def any_unknown(self) -> bool:
        """The DNS did not answer everything; the result says nothing final."""
        return any(check.state == "unknown" for check in self)


def check_domain(expected: Expected, resolver: Resolver) -> Checks:
    """Ask the DNS about a domain and judge its four records."""
    answers = gather(expected, resolver)
    return evaluate(expected, answers, _count_lookups(expected, answers, resolver))


def gather(expected: Expected, resolver: Resolver) -> DomainAnswers:
    """Ask the four questions, and where a name is missing whether it stands under its doubled name."""
    mx, txt = resolver.query(expected.domain, "MX"), resolver.query(expected.domain, "TXT")
    key, policy = resolver.query(expected.dkim_name, "TXT"), resolver.query(expected.dmarc_name, "TXT")
    doubled = []
    for name, answer in ((expected.dkim_name, key), (expected.dmarc_name, policy)):
        wrong = f"{name}.{expected.domain}"
        if answer.absent and len(wrong) <= 253 and resolver.query(wrong, "TXT").records:
            doubled.append(wrong)
    return DomainAnswers(mx, txt, key, policy, tuple(doubled))


def evaluate(expected: Expected, answers: DomainAnswers, lookups: spf.LookupCount | None = None) -> Checks:
    """Judge the answers; pure. ``lookups`` is the count for the published SPF record where that names us, else for
    the suggested one; ``None`` leaves the limit of ten unchecked.
    """
    suggested = suggest_records(expected, answers)
    values = {record.purpose: record.value for record in suggested}
    return Checks(
        mx=_check_mx(expected, answers.mx),
        spf=_check_spf(expected, answers.txt, values["spf"], lookups),
        dkim=_check_dkim(expected, answers, values["dkim"]),
        dmarc=_check_dmarc(expected, answers, values["dmarc"]),
        records=suggested,
    )


def _count_lookups(expected: Expected, answers: DomainAnswers, resolver: Resolver) -> spf.LookupCount:
    suggested = next(record.value for record in suggest_records(expected, answers) if record.purpose == "spf")
    try:
        published = spf.select(answers.txt.records)
    except SpfError:
        published = None
    record = published if published and published.authorizes(expected.spf_include) else spf.parse(suggested)
    return spf.count_lookups(expected.domain, record, resolver)


@dataclass(slots=True)
class _Draft:
    """A result in the making: what is the same for every outcome of one check."""

    purpose: Purpose
    asked: str
    found: tuple[str, ...]
    expected: str
    warnings: list[str] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)

    def end(self, state: State, code: str, **params: str) -> CheckResult:
        found = tuple(text[:MAX_SHOWN_LENGTH] for text in self.found[:MAX_SHOWN])
        every = {**self.params, **params}
        return CheckResult(self.purpose, state, self.asked, found, self.expected, code, every, tuple(self.warnings))

    def unanswered(self, answer: Answer) -> CheckResult | None:
        """The result where the DNS did not answer."""
        if answer.temporary:
            return self.end(
                "unknown", "dns_failure", name=self.asked.split(" ")[1], detail=answer.detail or "no answer"
            )
        return None


def _check_mx(expected: Expected, answer: Answer) -> CheckResult:
    draft = _Draft("mx", f"MX {expected.domain}", answer.records, f"{expected.mx_preference} {expected.mx_host}")
    if early := draft.unanswered(answer):
        return early
    found = parse_mx(answer.records)
    if not found:
        code = "domain_not_found" if answer.status == "nxdomain" else "mx_missing"
        return draft.end("missing", code, domain=expected.domain)
    ours = expected.mx_host.lower().rstrip(".")
    first = {mx.host for mx in found if mx.preference == found[0].preference}
    others = [mx for mx in found if mx.host != ours]
    if len(others) == len(found):
        if not others[0].host:  # RFC 7505 §3: a single "0 ."
            return draft.end("fail", "mx_null")
        return draft.end("fail", "mx_elsewhere", host=others[0].host)
    if ours not in first:
        return draft.end("fail", "mx_not_first", host=others[0].host or ".")
    if first != {ours}:
        return draft.end("fail", "mx_shared", host=others[0].host or ".")
    if others:
        draft.warnings.append("mx_backup")
        draft.params["host"] = others[0].host or "."
    return draft.end("pass", "ok")


def _check_spf(expected: Expected, answer: Answer, suggested: str, lookups: spf.LookupCount | None) -> CheckResult:
    claimed = tuple(text for text in answer.records if spf.is_spf(text))
    draft = _Draft("spf", f"TXT {expected.domain}", claimed, suggested)
    draft.params["include"] = f"include:{expected.spf_include}"
    if early := draft.unanswered(answer):
        return early
    try:
        record = spf.select(answer.records)
    except SpfError as error:
        if error.code == "many":
            return draft.end("fail", "spf_many", count=error.params["count"])
        return draft.end("fail", "spf_invalid", term=error.params.get("term", "…"))
    if record is None:
        return draft.end("missing", "spf_missing")
    if not record.authorizes(expected.spf_include):
        if lookups is not None and lookups.too_many:
            draft.warnings.append("spf_would_exceed")
            draft.params["total"] = str(lookups.total)
        present = record.includes(expected.spf_include)
        if any(mechanism.qualifier == "+" for mechanism in present):
            return draft.end("fail", "spf_after_all")
        return draft.end("fail", "spf_qualifier" if present else "spf_no_include")
    _warn_about_spf(draft, record, lookups)
    if lookups is not None:
        if lookups.loop:
            return draft.end("fail", "spf_loop", loop=lookups.loop)
        if lookups.too_many:
            return draft.end("fail", "spf_too_many", total=str(lookups.total))
        if lookups.temporary:
            return draft.end("unknown", "spf_count_unknown", name=lookups.temporary[0])
    return draft.end("pass", "ok")


def _warn_about_spf(draft: _Draft, record: spf.SpfRecord, lookups: spf.LookupCount | None) -> None:
    if record.all is None and record.redirect is None:
        draft.warnings.append("spf_no_all")
    elif record.all is not None and record.all.qualifier == "+":
        draft.warnings.append("spf_plus_all")
    if lookups is not None and lookups.broken:
        draft.warnings.append("spf_broken_include")
        draft.params["broken"] = ", ".join(lookups.broken)[:200]
    if lookups is not None and lookups.too_many_void:
        draft.warnings.append("spf_void")
        draft.params["void"] = str(lookups.void)


def _check_dkim(expected: Expected, answers: DomainAnswers, suggested: str) -> CheckResult:
    answer = answers.dkim
    draft = _Draft("dkim", f"TXT {expected.dkim_name}", answer.records, suggested)
    if early := draft.unanswered(answer):
        return early
    if not answer.records:
        return _missing(draft, "dkim_missing", expected.dkim_name, expected.domain, answers.doubled)
    if len(answer.records) > 1:  # RFC 6376 §3.6.2.2: with several records the result is undefined
        return draft.end("fail", "dkim_many", count=str(len(answer.records)), name=expected.dkim_name)
    text = answer.records[0]
    try:
        record = dkim.parse_key_record(text)
    except DkimError:
        return draft.end("fail", "dkim_quoted" if text.strip()[:1] in "\"'" or "\\" in text else "dkim_invalid")
    if record.revoked:
        return draft.end("fail", "dkim_revoked")
    if not dkim.same_key(record, base64.b64decode(expected.dkim_public_b64)):
        return _other_key(draft, dict(record.tags)["p"], expected.dkim_public_b64)
    if not record.allows_sha256:
        return draft.end("fail", "dkim_hash")
    if not record.allows_email:
        return draft.end("fail", "dkim_service")
    if record.testing:
        draft.warnings.append("dkim_testing")
    return draft.end("pass", "ok")


def _other_key(draft: _Draft, found: str, ours: str) -> CheckResult:
    if len(found) < len(ours) and len(found) >= 64 and ours.startswith(found.rstrip("=")[:-4]):
        return draft.end("fail", "dkim_truncated", length=str(len(found)), expected_length=str(len(ours)))
    return draft.end("fail", "dkim_other_key")


def _check_dmarc(expected: Expected, answers: DomainAnswers, suggested: str) -> CheckResult:
    answer = answers.dmarc
    draft = _Draft("dmarc", f"TXT {expected.dmarc_name}", answer.records, suggested)
    if early := draft.unanswered(answer):
        return early
    try:
        record = dmarc.select(answer.records)
    except DmarcError as error:
        if error.code == "many":
            return draft.end("fail", "dmarc_many", count=error.params["count"])
        return draft.end("fail", "dmarc_invalid", why=error.message, **error.params)
    if record is None:
        return _missing(draft, "dmarc_missing", expected.dmarc_name, expected.domain, answers.doubled)
    if record.policy == "none":
        draft.warnings.append("dmarc_none")
    if record.pct < 100:
        draft.warnings.append("dmarc_partial")
        draft.params["pct"] = str(record.pct)
    if not record.reports_to(expected.dmarc_rua):
        draft.warnings.append("dmarc_no_reports")
    if record.ignored:
        draft.warnings.append("dmarc_ignored")
        draft.params["ignored"] = ", ".join(record.ignored)[:200]
    return draft.end("pass", "ok")


def _missing(draft: _Draft, code: str, name: str, domain: str, doubled: tuple[str, ...]) -> CheckResult:
    wrong = f"{name}.{domain}"
    if wrong in doubled:
        return draft.end("missing", "doubled_name", name=wrong, short=relative_name(name, domain))
    return draft.end("missing", code)
