"""Answering and forwarding: subject, recipients, and the headers that keep a conversation together."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from deftmail.mailproto.addresses import base_address

MAX_SUBJECT = 900  # characters; with its header's name below the 998 of RFC 5322 §2.1.1
MAX_REFERENCES = 40  # identifiers; RFC 5322 §3.6.4 sets none, but headers of kilobytes get messages refused
MAX_REFERENCES_LENGTH = 2_000  # characters of the header

ReplyMode = Literal["reply", "all", "list"]

# What mail programs write before a subject, in the languages seen in the wild; they pile up in long conversations.
# Italian R: and I: are left out, because one letter and a colon are as often the subject's own words.
_REPLY_WORDS = "re|aw|antw|sv|vs|odp|rif|res|ynt|vá|bls|απ|ответ|回复|回覆|答复|返信"
_FORWARD_WORDS = "fwd|fw|wg|doorst|vl|vb|tr|rv|enc|pd|ilt|továbbítás|πρθ|转发|轉寄|転送"
_PREFIX = re.compile(
    rf"\s*(?:(?P<reply>{_REPLY_WORDS})|(?P<forward>{_FORWARD_WORDS}))\s*(?:\[\d{{1,4}}\]|\(\d{{1,4}}\)|\*\d{{1,4}})?\s*[:：]",
    re.IGNORECASE,
)
_MESSAGE_ID = re.compile(r"[^\s<>()\\,;:\x00-\x20\x7f]{1,500}\Z")


@dataclass(frozen=True, slots=True)
class Person:
    """A name (may be empty) and an address as found in a header; nothing is promised about either."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Original:
    """What an answer needs to know of the message answered. Message identifiers with or without ``<>``."""

    from_: tuple[Person, ...] = ()
    reply_to: tuple[Person, ...] = ()
    to: tuple[Person, ...] = ()
    cc: tuple[Person, ...] = ()
    list_post: str = ""  # the List-Post header, RFC 2369 §3.4
    message_id: tuple[str, ...] = ()
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """Who gets the answer."""

    to: tuple[Person, ...]
    cc: tuple[Person, ...] = ()


@dataclass(frozen=True, slots=True)
class Threading:
    """The identifiers of In-Reply-To and References, without angle brackets (as JMAP takes them)."""

    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()

    @property
    def in_reply_to_header(self) -> str:
        """The value of In-Reply-To; empty where there is none."""
        return " ".join(f"<{identifier}>" for identifier in self.in_reply_to)

    @property
    def references_header(self) -> str:
        """The value of References; empty where there is none."""
        return " ".join(f"<{identifier}>" for identifier in self.references)


def base_subject(subject: str) -> str:
    """Return a subject without its Re:, Fwd:, AW:, SV: … however many there are (RFC 5322 §3.6.5)."""
    subject = _one_line(subject)
    for _ in range(50):
        match = _PREFIX.match(subject)
        if match is None:
            break
        subject = subject[match.end() :].lstrip()
    return subject


def reply_subject(subject: str) -> str:
    """Return the subject of an answer: exactly one ``Re:``."""
    return _joined("Re:", base_subject(subject))


def forward_subject(subject: str) -> str:
    """Return the subject of a forwarded message: exactly one ``Fwd:``; a ``Re:`` behind it goes."""
    return _joined("Fwd:", base_subject(subject))


def reply_recipients(original: Original, own: Collection[str], *, mode: ReplyMode = "reply") -> ReplyTo:
    """Choose who gets the answer. ``own`` are the writer's addresses, with any ``+tag`` (RFC 5233): he never writes to
    himself by accident.

    ``reply``: Reply-To, else From (RFC 5322 §3.6.2). ``all``: the rest of To and Cc as Cc. ``list``: the mailing list
    (List-Post), or as ``all`` without one. An answer to one's own message goes to those who got it, and to oneself
    only where that was nobody else. Addresses appear once; what has no ``@`` is left out, and where nobody can be
    answered ``to`` is empty.
    """
    mine = {base_address(address.lower()) for address in own}
    if mode == "list" and (post := list_address(original.list_post)):
        return ReplyTo((Person("", post),))
    wrote_it = any(base_address(person.email.lower()) in mine for person in original.from_)
    if wrote_it:
        to = _unique(original.to, mine)
        cc = _unique(original.cc, mine, _addresses(to)) if mode != "reply" or not to else ()
    else:
        # A list that sets Reply-To to itself would take a private answer; that is the list's will (RFC 5322 §3.6.2),
        # and the choice "reply to sender" is one address away in the composer.
        to = _unique(original.reply_to or original.from_, mine) or _unique(original.from_, mine)
        others = (*original.to, *original.cc)
        if mode != "reply" and original.reply_to:
            others = (*original.from_, *others) if list_address(original.list_post) else others
        cc = _unique(others, mine, _addresses(to)) if mode != "reply" else ()
    if not to and cc:
        to, cc = cc, ()
    if not to:  # a note to oneself is answered to oneself; where the writer is unknown, whoever else got it is asked
        to = _unique(original.reply_to or original.from_, set()) if wrote_it else ()
        to = to or _unique(original.to, set() if wrote_it else mine)
    return ReplyTo(to, cc)


def list_address(list_post: str) -> str:
    """Return the address of a List-Post header (RFC 2369 §3.4), empty for ``NO`` or none."""
    match = re.search(r"<mailto:([^<>?\s]{1,254})", list_post[:4_000], re.IGNORECASE)
    address = _one_line(unquote(match[1])) if match else ""
    return address if "@" in address else ""


def references(original: Original) -> Threading:
    """Build In-Reply-To and References of an answer (RFC 5322 §3.6.4).

    References are the original's, or its In-Reply-To where that names just one message, and then its own identifier.
    Long chains keep their first identifier, which is the conversation's root, and the latest ones.
    """
    own = _identifiers(original.message_id)[:1]
    if not own:
        return Threading()  # "if the parent message does not contain a Message-ID": nothing to refer to
    chain = _identifiers(original.references)
    if not chain:
        parents = _identifiers(original.in_reply_to)
        chain = parents if len(parents) == 1 else ()
    chain = (*(identifier for identifier in chain if identifier not in own), *own)
    return Threading(own, _shortened(chain))


def _shortened(chain: tuple[str, ...]) -> tuple[str, ...]:
    if len(chain) > MAX_REFERENCES:
        chain = (chain[0], *chain[-(MAX_REFERENCES - 1) :])
    while len(chain) > 2 and sum(len(identifier) + 3 for identifier in chain) > MAX_REFERENCES_LENGTH:
        chain = (chain[0], *chain[2:])
    return chain


def _identifiers(values: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for value in values:
        for piece in re.split(r"[\s<>,]+", value[:20_000]):
            if piece and _MESSAGE_ID.match(piece):
                found[piece] = None
    return tuple(found)


def _unique(people: Iterable[Person], mine: set[str], taken: Collection[str] = frozenset()) -> tuple[Person, ...]:
    found: dict[str, Person] = {}
    for person in people:
        address = person.email.strip().lower()
        if "@" in address and address not in taken and base_address(address) not in mine:
            found.setdefault(address, Person(_one_line(person.name), person.email.strip()))
    return tuple(found.values())


def _addresses(people: Iterable[Person]) -> set[str]:
    return {person.email.lower() for person in people}


def _joined(prefix: str, subject: str) -> str:
    return f"{prefix} {subject}".rstrip()[:MAX_SUBJECT]


def _one_line(text: str) -> str:
    return re.sub(r"[\s\x00-\x1f\x7f]+", " ", text[:10_000]).strip()[:MAX_SUBJECT]
