"""Domain names of mail: IDNA 2008 with UTS 46, limits of DNS, and what a customer may bring.

Names are compared and stored as A-labels (``ascii``), shown as U-labels (``unicode``).
"""

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import idna
from publicsuffixlist import PublicSuffixList

from deftmail.mailproto.errors import DomainError
from deftmail.mailproto.sentences import gettext_noop as _

MAX_DOMAIN = 253  # RFC 1035 §3.1: 255 octets on the wire, which is 253 characters written without the last dot
MAX_LABEL = 63  # RFC 1035 §2.3.4
_MAX_INPUT = 1024  # longest text worth giving to the IDNA tables

# RFC 6761, RFC 6762, RFC 7686, RFC 8375, RFC 3172: names that never are a company's mail domain. `.test` and
# `.example` (RFC 2606) stay allowed: they resolve nowhere in public, and installations are tried out with them.
SPECIAL_USE = frozenset({"localhost", "local", "onion", "arpa", "invalid", "internal", "localdomain", "alt"})

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")  # RFC 1123 §2.1 (LDH rule)

# Scripts that are written together in one name by custom (UTS 39 §5.1: "highly restrictive").
_WRITTEN_TOGETHER = (
    frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA", "IDEOGRAPHIC"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
)


@dataclass(frozen=True, slots=True)
class DomainName:
    """A domain in both spellings. ``warnings`` holds codes such as ``mixed_script``."""

    ascii: str
    unicode: str
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.ascii


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def parse_domain(text: str) -> DomainName:
    """Read the domain of any mail address on the internet.

    One trailing dot is taken off. Raises :class:`DomainError` with ``empty``, ``too_long``, ``label_too_long``,
    ``bad_label``, ``single_label`` or ``ip_address``.
    """
    name = unicodedata.normalize("NFC", text.strip())
    for dot in "\u3002\uff0e\uff61":  # UTS 46 §2.3: the other full stops
        name = name.replace(dot, ".")
    name = name.removesuffix(".")
    if not name:
        raise DomainError("empty", _("Enter a domain name."))
    if len(name) > _MAX_INPUT:
        raise DomainError("too_long", _("This domain name is longer than 253 characters."))
    if _is_ip_address(name):
        raise DomainError("ip_address", _("This is an IP address; a domain name is needed."), domain=name)
    if "@" in name or "/" in name or any(unicodedata.category(ch)[0] in "ZC" for ch in name):
        raise DomainError("bad_label", _("This is not a domain name."), domain=_shown(name))
    a_labels = [_to_a_label(label, name) for label in name.split(".")]
    ascii_name = ".".join(a_labels)
    if len(ascii_name) > MAX_DOMAIN:
        raise DomainError("too_long", _("This domain name is longer than 253 characters."))
    if len(a_labels) < 2:
        raise DomainError(
            "single_label",
            _("A domain has at least two parts, as in example.com."),
            domain=ascii_name,
        )
    if a_labels[-1].isdigit() or _is_ip_address(ascii_name):  # RFC 3696 §2: the last label is never all digits
        raise DomainError(
            "ip_address",
            _("This is an IP address; a domain name is needed."),
            domain=ascii_name,
        )
    unicode_labels = [_to_u_label(label) for label in a_labels]
    warnings = ("mixed_script",) if any(_mixes_scripts(label) for label in unicode_labels) else ()
    return DomainName(ascii_name, ".".join(unicode_labels), warnings)


def parse_hosted_domain(text: str) -> DomainName:
    """Read a domain that a customer wants us to host; subdomains are domains of their own.

    As :func:`parse_domain`, and refuses ``public_suffix`` (co.uk, github.io) and ``special_use`` (localhost, onion …).
    """
    name = parse_domain(text)
    labels = name.ascii.split(".")
    if labels[-1] in SPECIAL_USE:
        raise DomainError(
            "special_use",
            _("Names under .%(tld)s cannot receive mail."),
            domain=name.unicode,
            tld=labels[-1],
        )
    if _suffixes().privatesuffix(name.ascii) is None:
        raise DomainError(
            "public_suffix",
            _("%(domain)s is shared by many owners; add a name below it."),
            domain=name.unicode,
        )
    return name


def is_subdomain(name: str, parent: str) -> bool:
    """Say whether the A-label name ``name`` is ``parent`` or lies below it."""
    name, parent = name.lower().rstrip("."), parent.lower().rstrip(".")
    return name == parent or name.endswith("." + parent)


def organizational_domain(name: DomainName) -> str:
    """Return the registrable domain above ``name`` (RFC 7489 §3.2), or the name itself where there is none."""
    return _suffixes().privatesuffix(name.ascii) or name.ascii


def _to_a_label(label: str, whole: str) -> str:
    if not label:
        raise DomainError(
            "bad_label",
            _("A part of this domain name is empty."),
            domain=_shown(whole),
            label="",
        )
    try:
        if label.isascii():
            lowered = label.lower()
            # idna checks an A-label by decoding it; other ASCII labels need only the letter-digit-hyphen rule. RFC 5891
            # §4.2.3.1 forbids hyphens in places 3 and 4, but such names are registered in .com and work.
            encoded = idna.encode(lowered, uts46=True, std3_rules=True).decode() if lowered[:4] == "xn--" else lowered
        else:
            encoded = idna.encode(label, uts46=True, std3_rules=True, transitional=False).decode()
    except (idna.IDNAError, UnicodeError) as error:
        code = "label_too_long" if "too long" in str(error).lower() else "bad_label"
        raise _bad_label(code, label, whole) from None
    if len(encoded) > MAX_LABEL:
        raise _bad_label("label_too_long", label, whole)
    if not _LABEL.match(encoded):
        raise _bad_label("bad_label", label, whole)
    return encoded


def _bad_label(code: str, label: str, whole: str) -> DomainError:
    shown = _shown(label)
    if code == "label_too_long":
        sentence = _('The part "%(label)s" is longer than 63 characters.')
    else:
        sentence = _('The part "%(label)s" is not allowed in a domain name.')
    return DomainError(code, sentence, domain=_shown(whole), label=shown)


def _to_u_label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return idna.decode(label)
    except (
        idna.IDNAError,
        UnicodeError,
    ):  # cannot happen after encode; the A-label is always right to show
        return label


def _is_ip_address(name: str) -> bool:
    inner = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    if inner.lower().startswith("ipv6:"):  # RFC 5321 §4.1.3
        inner = inner[5:]
    try:
        ipaddress.ip_address(inner)
    except ValueError:
        return False
    return True


def _mixes_scripts(label: str) -> bool:
    """Say whether a label mixes scripts that do not belong together (as Cyrillic a in a Latin word)."""
    if label.isascii():
        return False
    scripts = set()
    for char in label:
        if char in "-\u30fb\u00b7\u30fc" or char.isdigit() or unicodedata.combining(char):
            continue
        # The standard library has no script property; the first word of a letter's name is its script.
        scripts.add(unicodedata.name(char, "UNKNOWN").split(" ")[0].split("-")[0])
    return len(scripts) > 1 and not any(scripts <= together for together in _WRITTEN_TOGETHER)


def _shown(text: str) -> str:
    """Cut and clean a piece of input for an error sentence."""
    cleaned = "".join(ch if ch.isprintable() else "\ufffd" for ch in text[:80])
    return cleaned + "…" if len(text) > 80 else cleaned
