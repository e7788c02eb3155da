"""Mail addresses: RFC 5321 limits, the local parts we give out, and the composer's recipient field."""

import re
from contextlib import suppress
from dataclasses import dataclass
from email.header import Header

from deftmail.mailproto.errors import AddressError, DomainError, HeaderError
from deftmail.mailproto.names import DomainName, parse_domain
from deftmail.mailproto.sentences import gettext_noop as _

MAX_LOCAL = 64  # RFC 5321 §4.5.3.1.1, octets
MAX_ADDRESS = 254  # RFC 5321 §4.5.3.1.3: a path is 256 octets with its angle brackets
MAX_NAME = 200  # characters of a display name; ours, so that a header line stays sane
MAX_FIELD = 100_000  # characters of a whole recipient field

_ATEXT = r"a-zA-Z0-9!#$%&'*+/=?^_`{|}~-"  # RFC 5322 §3.2.3
_DOT_ATOM = re.compile(rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)*\Z")
_OURS = re.compile(r"[a-z0-9._-]+\Z")
# Controls, and what Python's email package takes for line breaks.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
# Bidirectional controls and separators make a name read as something it is not.
_INVISIBLE = re.compile(r"[\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


@dataclass(frozen=True, slots=True)
class Address:
    """One address. The local part keeps its case (RFC 5321 §2.4), the domain is lower case."""

    local: str
    domain: DomainName

    @property
    def ascii(self) -> str:
        """The address as SMTP carries it, the domain as A-label."""
        return f"{self.local}@{self.domain.ascii}"

    @property
    def unicode(self) -> str:
        """The address as people read it, the domain as U-label."""
        return f"{self.local}@{self.domain.unicode}"

    def __str__(self) -> str:
        return self.ascii


@dataclass(frozen=True, slots=True)
class Recipient:
    """An address with the name shown beside it (may be empty)."""

    name: str
    address: Address

    @property
    def header(self) -> str:
        """This recipient for a To or From header: quoted or RFC 2047-encoded, never with a line break."""
        return format_recipient(self.name, self.address)

    @property
    def display(self) -> str:
        """This recipient for people; :func:`parse_recipients` reads it back."""
        if not self.name:
            return self.address.unicode
        return f"{_quote_name(self.name)} <{self.address.unicode}>"


def parse_address(text: str) -> Address:
    """Read one bare address of the outside world.

    Quoted local parts and non-ASCII local parts (RFC 6531) are refused: we cannot promise that the path takes them.
    Raises :class:`AddressError` with ``empty``, ``no_at``, ``local_empty``, ``local_too_long``, ``local_bad_chars``,
    ``local_dots``, ``local_not_ascii``, ``address_too_long``, ``line_break`` or a code of
    :func:`~deftmail.mailproto.names.parse_domain`.
    """
    if "\r" in text or "\n" in text:
        raise AddressError("line_break", _("An address cannot contain a line break."))
    text = text.strip()
    if not text:
        raise AddressError("empty", _("Enter an email address."))
    if len(text) > 4 * MAX_ADDRESS:
        raise AddressError(
            "address_too_long",
            _("This address is longer than 254 characters."),
            item=_shown(text),
        )
    local, at, domain_text = text.rpartition("@")
    if not at:
        raise AddressError("no_at", _('"%(item)s" is not an email address.'), item=_shown(text))
    _check_local(local, text)
    try:
        domain = parse_domain(domain_text)
    except DomainError as error:
        raise AddressError(error.code, error.message, **{**error.params, "item": _shown(text)}) from None
    address = Address(local, domain)
    if len(address.ascii) > MAX_ADDRESS:
        raise AddressError(
            "address_too_long",
            _("This address is longer than 254 characters."),
            item=_shown(text),
        )
    return address


def parse_mailbox_local(text: str) -> str:
    """Read the local part of a mailbox that we create; returns it in lower case.

    Stricter than the standard: letters, digits, dot, hyphen and underscore. ``+`` is refused (``local_plus``) because
    ``name+anything`` reaches ``name``.
    """
    local = text.strip().lower()
    if "+" in local:
        raise AddressError(
            "local_plus",
            _("A mailbox name cannot contain +; mail to name+anything reaches name."),
        )
    _check_local(local, text)
    if local.startswith("-"):  # Postfix refuses it: programs take it for an option
        raise AddressError("local_hyphen", _("A mailbox name cannot begin with a hyphen."), item=_shown(text))
    if not _OURS.match(local):
        raise AddressError(
            "local_bad_chars",
            _("Use letters, digits, dots, hyphens and underscores."),
            item=_shown(text),
        )
    return local


def parse_mailbox_address(text: str) -> Address:
    """Read the whole address of a mailbox that we create; errors of both parts."""
    address = parse_address(text)
    return Address(parse_mailbox_local(address.local), address.domain)


def base_address(address: str) -> str:
    """`name+anything@domain` is `name@domain` (RFC 5233); no address we give out holds a plus."""
    local, at, domain = address.rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"


def parse_recipients(text: str, *, limit: int = 500) -> tuple[Recipient, ...]:
    """Read a composer's recipient field: ``Name <a@b>, c@d; "Doe, J." <e@f>``.

    Comma and semicolon part the entries; an address met twice is kept once. Raises :class:`AddressError`, whose
    ``params["item"]`` is the piece at fault; beside the codes of :func:`parse_address`: ``group`` (RFC 5322 group
    syntax), ``line_break``, ``unbalanced`` (quote or bracket left open), ``name`` (control characters in a name),
    ``too_many`` and ``too_long``.
    """
    if len(text) > MAX_FIELD:
        raise AddressError("too_long", _("This list of recipients is too long."))
    if "\r" in text or "\n" in text:
        raise AddressError("line_break", _("An address cannot contain a line break."))
    found: dict[str, Recipient] = {}
    for piece in _split(text):
        recipient = _parse_recipient(piece)
        found.setdefault(recipient.address.ascii.lower(), recipient)
        if len(found) > limit:
            raise AddressError("too_many", _("More than %(limit)s recipients."), limit=str(limit))
    return tuple(found.values())


def readable_recipients(text: str, *, limit: int = 500) -> tuple[Recipient, ...]:
    """Those entries of a field still being typed that can be read; never raises."""
    found = []
    try:
        for piece in _split(" ".join(text[:MAX_FIELD].splitlines()))[:limit]:
            with suppress(AddressError):
                found.append(_parse_recipient(piece))
    except AddressError:
        return ()  # a quotation mark or bracket is open: nobody knows yet where an entry ends
    return tuple(found)


def format_recipient(name: str, address: Address) -> str:
    """Write ``name <address>`` for a header (RFC 5322 §3.4), the name encoded by RFC 2047 where it must be.

    Raises :class:`HeaderError` for a line break or control character in the name.
    """
    name = clean_header(name, limit=MAX_NAME)
    if not name:
        return address.ascii
    if name.isascii():
        return f"{_quote_name(name)} <{address.ascii}>"
    # maxlinelen=0: no folding here; whoever writes the message folds.
    return f"{Header(name, 'utf-8', maxlinelen=0).encode(linesep='')} <{address.ascii}>"


def clean_header(text: str, *, limit: int = 998) -> str:
    """Return a value that may stand in a header (RFC 5322 §2.2), stripped; ``limit`` in characters.

    Raises :class:`HeaderError`: ``line_break`` (header injection), ``control`` or ``too_long`` (RFC 5322 §2.1.1).
    """
    if "\r" in text or "\n" in text:
        raise HeaderError("line_break", _("This text cannot contain a line break."))
    text = text.strip()
    if _CONTROL.search(text) or _unpaired_surrogate(text):
        raise HeaderError("control", _("This text contains characters that mail cannot carry."))
    if len(text) > limit:
        raise HeaderError(
            "too_long",
            _("This text is longer than %(limit)s characters."),
            limit=str(limit),
        )
    return text


def _check_local(local: str, whole: str) -> None:
    item = _shown(whole)
    if not local:
        raise AddressError("local_empty", _("The part before the @ is missing."), item=item)
    if not local.isascii():
        raise AddressError("local_not_ascii", _("Only plain letters can stand before the @."), item=item)
    if len(local) > MAX_LOCAL:
        raise AddressError(
            "local_too_long",
            _("The part before the @ is longer than 64 characters."),
            item=item,
        )
    if local.startswith(".") or local.endswith(".") or ".." in local:  # RFC 5322 §3.4.1: dot-atom
        raise AddressError("local_dots", _("A dot cannot come first, last or twice in a row."), item=item)
    if not _DOT_ATOM.match(local):
        raise AddressError(
            "local_bad_chars",
            _('"%(item)s" has a character that is not allowed.'),
            item=item,
        )


def _split(text: str) -> list[str]:
    """Cut a recipient field at commas and semicolons that are outside quotes and angle brackets."""
    pieces: list[str] = []
    current: list[str] = []
    quoted = bracket = escaped = False
    for char in text:
        if escaped:
            escaped = False
        elif char == "\\" and quoted:
            escaped = True
        elif char == '"' and not bracket:
            quoted = not quoted
        elif char in "<>" and not quoted:
            if bracket == (char == "<"):  # two opened, or one closed that never was open
                raise AddressError("unbalanced", _("An angle bracket has no partner."), item=_shown(text))
            bracket = char == "<"
        elif char in ",;" and not quoted and not bracket:
            pieces.append("".join(current))
            current = []
            continue
        current.append(char)
    if quoted or bracket:
        raise AddressError(
            "unbalanced",
            _("A quotation mark or bracket is left open."),
            item=_shown("".join(current)),
        )
    pieces.append("".join(current))
    return [piece.strip() for piece in pieces if piece.strip()]


def _parse_recipient(piece: str) -> Recipient:
    if not piece.endswith(">"):
        if "<" in piece:
            raise AddressError(
                "unbalanced",
                _('"%(item)s" has text after the address.'),
                item=_shown(piece),
            )
        if _is_group(piece):
            raise AddressError(
                "group",
                _("Groups of addresses are not supported; list the addresses."),
                item=_shown(piece),
            )
        return Recipient("", parse_address(piece))
    name_text, _bracket, rest = piece.rpartition("<")
    if _is_group(name_text):
        raise AddressError(
            "group",
            _("Groups of addresses are not supported; list the addresses."),
            item=_shown(piece),
        )
    return Recipient(_read_name(name_text.strip(), piece), parse_address(rest[:-1]))


def _is_group(text: str) -> bool:
    """RFC 5322 §3.4: ``name: members;`` (a colon outside quotes never stands in a name or an address)."""
    return ":" in re.sub(r'"(?:[^"\\]|\\.)*"', "", text)


def _read_name(text: str, piece: str) -> str:
    # RFC 5322 §3.2.4: quoted parts lose their quotes and backslashes; words beside them stay.
    name = re.sub(r'"((?:[^"\\]|\\.)*)"', lambda match: re.sub(r"\\(.)", r"\1", match[1]), text)
    name = re.sub(r"\s+", " ", _INVISIBLE.sub("", name)).strip()
    try:
        return clean_header(name, limit=MAX_NAME)
    except HeaderError as error:
        raise AddressError("name", error.message, **{**error.params, "item": _shown(piece)}) from None


def _quote_name(name: str) -> str:
    if re.fullmatch(rf"[ \u0080-\U0010ffff{_ATEXT}]+", name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unpaired_surrogate(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)


def _shown(text: str) -> str:
    cleaned = "".join(ch if ch.isprintable() else "\ufffd" for ch in text.strip()[:80])
    return cleaned + "…" if len(text.strip()) > 80 else cleaned
