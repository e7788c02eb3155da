"""SPF records (RFC 7208): read, write, merge our include into what a domain has, count the look-ups."""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from deftmail.mailproto.dnsanswer import Resolver
from deftmail.mailproto.errors import SpfError
from deftmail.mailproto.sentences import gettext_noop as _

Qualifier = Literal["+", "-", "~", "?"]

MAX_LOOKUPS = 10  # RFC 7208 §4.6.4: terms that ask the DNS
MAX_VOID = 2  # RFC 7208 §4.6.4: questions answered by nothing
MAX_RECORD = 4096  # characters; a record that long cannot be answered by UDP anyway (§3.4)
_MAX_COUNTED = 30  # where counting stops: the answer is "too many" long before, and a hostile tree must end

_LOOKUP_MECHANISMS = frozenset({"include", "a", "mx", "ptr", "exists"})
_NEEDS_VALUE = frozenset({"include", "exists", "ip4", "ip6"})
_MECHANISMS = frozenset({"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"})

_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)\Z", re.DOTALL)  # §12: name = ALPHA *( ALPHA / DIGIT / - _ . )
_CIDR = r"(0|[1-9][0-9]{0,2})"
_MECHANISM = re.compile(rf"([+?~-]?)([A-Za-z0-9]+)(?::([^/].*?))?(?:/{_CIDR})?(?://{_CIDR})?\Z", re.DOTALL)
_MACRO_STRING = re.compile(r"(?:%\{[slodiphcrtv][0-9]{0,3}r?[-.+,/_=]*\}|%[%_-]|[!-$&-~])+\Z", re.IGNORECASE)  # §7.1
_DOMAIN_END = re.compile(r"(?:\.(?![0-9]+\.?\Z)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?|%\{[^}]*\}|%[%_-])\Z")


@dataclass(frozen=True, slots=True)
class Mechanism:
    """``~include:example.org``, ``mx``, ``ip4:192.0.2.0/24`` (§5). ``value`` is empty where none was written."""

    name: str
    value: str = ""
    qualifier: Qualifier = "+"
    cidr4: int | None = None
    cidr6: int | None = None

    def __str__(self) -> str:
        return (
            ("" if self.qualifier == "+" else self.qualifier)
            + self.name
            + (f":{self.value}" if self.value else "")
            + ("" if self.cidr4 is None else f"/{self.cidr4}")
            + ("" if self.cidr6 is None else f"//{self.cidr6}" if self.name in ("a", "mx") else f"/{self.cidr6}")
        )


@dataclass(frozen=True, slots=True)
class Modifier:
    """``redirect=example.org`` (§6)."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


Term: TypeAlias = Mechanism | Modifier


@dataclass(frozen=True, slots=True)
class SpfRecord:
    """One record as its terms, in order."""

    terms: tuple[Term, ...] = ()

    def render(self) -> str:
        """Write the record; ``parse(record.render()) == record``."""
        return " ".join(["v=spf1", *map(str, self.terms)])

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """The mechanisms that can be reached: nothing after ``all`` is ever tested (§5.1)."""
        reached: list[Mechanism] = []
        for term in self.terms:
            if isinstance(term, Mechanism):
                reached.append(term)
                if term.name == "all":
                    break
        return tuple(reached)

    @property
    def all(self) -> Mechanism | None:
        """The ``all`` that ends the evaluation, if any."""
        return next((mechanism for mechanism in self.mechanisms if mechanism.name == "all"), None)

    @property
    def redirect(self) -> str | None:
        """Where evaluation goes on; a record with ``all`` ignores its redirect (§6.1)."""
        if self.all is not None:
            return None
        return next((t.value for t in self.terms if isinstance(t, Modifier) and t.name == "redirect"), None)

    def includes(self, domain: str) -> tuple[Mechanism, ...]:
        """All ``include`` terms for ``domain``, reachable or not, whatever their qualifier."""
        return tuple(term for term in self.terms if isinstance(term, Mechanism) and _is_include(term, domain))

    def authorizes(self, domain: str) -> bool:
        """Say whether ``include:domain`` stands where it works: qualifier +, before ``all``."""
        return any(_is_include(mechanism, domain) and mechanism.qualifier == "+" for mechanism in self.mechanisms)


def is_spf(text: str) -> bool:
    """Say whether a TXT record claims to be SPF (§4.5: the version section is exactly ``v=spf1``)."""
    head = text[:7].lower()
    return head in ("v=spf1", "v=spf1 ")


def parse(text: str) -> SpfRecord:
    """Read one record (§12). Raises :class:`SpfError`: ``not_spf``, ``too_long``, ``bad_term`` or ``repeated``."""
    if not is_spf(text):
        raise SpfError("not_spf", _("An SPF record starts with v=spf1."))
    if len(text) > MAX_RECORD:
        raise SpfError("too_long", _("This SPF record is too long."))
    terms = tuple(_parse_term(word) for word in text[6:].split(" ") if word)
    for name in ("redirect", "exp"):  # §6: each at most once
        if sum(isinstance(term, Modifier) and term.name == name for term in terms) > 1:
            raise SpfError("repeated", _("%(term)s stands in this SPF record more than once."), term=f"{name}=")
    return SpfRecord(terms)


def select(texts: Iterable[str]) -> SpfRecord | None:
    """Pick the SPF record among a domain's TXT records; ``None`` if it has none.

    Raises :class:`SpfError` ``many`` (§4.5: more than one is a permanent error for receivers), or as :func:`parse`.
    """
    candidates = [text for text in texts if is_spf(text)]
    if len(candidates) > 1:
        raise SpfError(
            "many", _("There is more than one SPF record; receivers ignore them all."), count=str(len(candidates))
        )
    return parse(candidates[0]) if candidates else None


def merge(existing: str | None, include: str, *, mx: bool = True, all_: Qualifier = "~") -> str:
    """Return the record to publish so that ``include`` may send, beside everything that already may.

    Without a record: ``v=spf1 mx include:… ~all``. With one: our include goes in before ``all`` and nothing else
    changes; merging again changes nothing. Raises :class:`SpfError` where the existing text is not a valid record.
    """
    ours = Mechanism("include", include)
    if existing is None:
        head = (Mechanism("mx"),) if mx else ()
        return SpfRecord((*head, ours, Mechanism("all", qualifier=all_))).render()
    record = parse(existing)
    if record.authorizes(include):
        return existing
    kept = [term for term in record.terms if not (isinstance(term, Mechanism) and _is_include(term, include))]
    place = next((n for n, term in enumerate(kept) if isinstance(term, Mechanism) and term.name == "all"), None)
    if place is None:  # behind the last mechanism: modifiers stay at the end where people expect them (§6)
        place = max((n + 1 for n, term in enumerate(kept) if isinstance(term, Mechanism)), default=0)
    kept.insert(place, ours)
    return SpfRecord(tuple(kept)).render()


def combine(records: Sequence[SpfRecord]) -> SpfRecord:
    """Join several records, which no receiver accepts, into one that allows what each of them allowed.

    The first ``all`` stays; a ``redirect`` becomes an ``include``, because its target's ``all`` cannot count twice.
    """
    joined: dict[Term, None] = {}
    for record in records:
        joined.update(dict.fromkeys(m for m in record.mechanisms if m.name != "all"))
        if record.redirect is not None:
            joined[Mechanism("include", record.redirect)] = None
    last = next((record.all for record in records if record.all is not None), Mechanism("all", qualifier="~"))
    return SpfRecord((*joined, last))


def salvage(text: str) -> SpfRecord:
    """Keep the terms of a broken record that can be read, as the base of a repaired one; never raises."""
    terms: list[Term] = []
    for word in text[6:MAX_RECORD].split():
        try:
            term = _parse_term(word)
        except SpfError:
            continue
        if not (isinstance(term, Modifier) and any(isinstance(t, Modifier) and t.name == term.name for t in terms)):
            terms.append(term)
    return SpfRecord(tuple(terms))


@dataclass(slots=True)
class LookupCount:
    """What evaluating a record to its end costs a receiver (§4.6.4)."""

    total: int = 0
    void: int = 0
    loop: str = ""  # the name that includes itself
    broken: list[str] = field(default_factory=list)  # included names without one valid record (a permanent error, §5.2)
    temporary: list[str] = field(
        default_factory=list
    )  # included names the DNS gave no answer for: the count is a minimum

    @property
    def too_many(self) -> bool:
        """More than ten: receivers answer *permerror*."""
        return self.total > MAX_LOOKUPS

    @property
    def too_many_void(self) -> bool:
        """More than two: receivers may answer *permerror*."""
        return self.void > MAX_VOID


def count_lookups(domain: str, record: SpfRecord, resolver: Resolver) -> LookupCount:
    """Count the look-ups of ``record``, published at ``domain``, through all its includes and redirects.

    Ends for any tree and any loop: counting stops at 30. Names with macros depend on the message, so they count as one
    look-up and are not followed.
    """
    count = LookupCount()
    _count(domain.lower().rstrip("."), record, resolver, count, ())
    return count


def _count(domain: str, record: SpfRecord, resolver: Resolver, count: LookupCount, path: tuple[str, ...]) -> None:
    for mechanism in record.mechanisms:
        if mechanism.name not in _LOOKUP_MECHANISMS:
            continue
        count.total += 1
        if count.total > _MAX_COUNTED:
            return
        if mechanism.name == "include":
            _follow(mechanism.value, resolver, count, (*path, domain))
        elif mechanism.name != "ptr":  # ptr asks about the sender's address, which no record knows
            _count_void(mechanism, domain, resolver, count)
    if record.redirect is not None and count.total <= _MAX_COUNTED:
        count.total += 1
        _follow(record.redirect, resolver, count, (*path, domain))


def _follow(value: str, resolver: Resolver, count: LookupCount, path: tuple[str, ...]) -> None:
    name = value.lower().rstrip(".")
    if "%" in name:
        return
    if name in path:
        count.loop = name
        return
    answer = resolver.query(name, "TXT")
    if answer.temporary:
        count.temporary.append(name)
        return
    if answer.absent:
        count.void += 1
    try:
        record = select(answer.records)
    except SpfError:
        record = None
    if record is None:
        count.broken.append(name)
    else:
        _count(name, record, resolver, count, path)


def _count_void(mechanism: Mechanism, domain: str, resolver: Resolver, count: LookupCount) -> None:
    name = (mechanism.value or domain).lower().rstrip(".")
    if "%" in name:
        return
    if mechanism.name == "mx":
        void = resolver.query(name, "MX").absent
    else:  # a receiver asks A or AAAA by the sender's address; it is void for certain only where both are
        void = resolver.query(name, "A").absent and (mechanism.name == "exists" or resolver.query(name, "AAAA").absent)
    count.void += void


def _is_include(mechanism: Mechanism, domain: str) -> bool:
    return mechanism.name == "include" and mechanism.value.lower().rstrip(".") == domain.lower().rstrip(".")


def _parse_term(word: str) -> Term:
    bad = SpfError("bad_term", _('"%(term)s" is not a term of SPF.'), term=_shown(word))
    match = _MODIFIER.match(word)
    if match and ":" not in match[1]:
        name, value = match[1].lower(), match[2]
        if name in ("redirect", "exp"):
            if not _is_domain_spec(value):
                raise bad
        elif value and not _MACRO_STRING.match(value):  # §6: unknown modifiers are kept and ignored
            raise bad
        return Modifier(name, value)
    match = _MECHANISM.match(word)
    if not match or match[2].lower() not in _MECHANISMS:
        raise bad
    mechanism = Mechanism(match[2].lower(), match[3] or "", _qualifier(match[1]), _number(match[4]), _number(match[5]))
    if not _is_valid(mechanism, word):
        raise bad
    if mechanism.name == "ip6":  # written with one slash (§5.6), kept as what it is
        return Mechanism("ip6", mechanism.value, mechanism.qualifier, None, mechanism.cidr4)
    return mechanism


def _is_valid(mechanism: Mechanism, word: str) -> bool:
    name, value = mechanism.name, mechanism.value
    if (name in _NEEDS_VALUE) != bool(value) and name not in ("a", "mx", "ptr"):
        return False
    if ":" in word and not value:
        return False
    if name in ("ip4", "ip6"):
        if mechanism.cidr6 is not None:
            return False
        address_type = ipaddress.IPv4Address if name == "ip4" else ipaddress.IPv6Address
        try:
            address_type(value)
        except ValueError:
            return False
        return "%" not in value and (mechanism.cidr4 or 0) <= (32 if name == "ip4" else 128)
    if name in ("a", "mx"):
        if (mechanism.cidr4 or 0) > 32 or (mechanism.cidr6 or 0) > 128:
            return False
    elif mechanism.cidr4 is not None or mechanism.cidr6 is not None:
        return False
    return not value or _is_domain_spec(value)


def _is_domain_spec(value: str) -> bool:
    return len(value) <= 512 and bool(_MACRO_STRING.match(value)) and bool(_DOMAIN_END.search(value))


def _qualifier(text: str) -> Qualifier:
    return "-" if text == "-" else "~" if text == "~" else "?" if text == "?" else "+"  # §4.6.2: + is the default


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _shown(text: str) -> str:
    return "".join(ch if ch.isprintable() else "\ufffd" for ch in text[:80])
