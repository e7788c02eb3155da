"""What the DNS said, as a value: the only thing the checks know about resolvers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

RecordType = Literal["A", "AAAA", "CNAME", "MX", "NS", "TXT"]
AnswerStatus = Literal["records", "nxdomain", "noanswer", "failure"]


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one question.

    ``records``: TXT joined and decoded; MX as ``"10 mail.example.org"`` (lower case, no last dot); addresses as text.
    ``nxdomain`` and ``noanswer`` are facts; ``failure`` (SERVFAIL, refused, time-out) says nothing about the name and
    must never count as a fault of its owner. ``detail`` says more about a failure.
    """

    status: AnswerStatus
    records: tuple[str, ...] = ()
    detail: str = ""

    @property
    def temporary(self) -> bool:
        """The question was not answered; ask again later."""
        return self.status == "failure"

    @property
    def absent(self) -> bool:
        """The DNS says for certain that there is no such record (RFC 7208 §4.6.4: a void look-up)."""
        return self.status in ("nxdomain", "noanswer")


def records(*values: str) -> Answer:
    """Return an answer with these records; none at all is ``noanswer``."""
    return Answer("records", values) if values else Answer("noanswer")


class Resolver(Protocol):
    """Somebody who answers DNS questions; follows CNAMEs; never raises for what the DNS or the network does."""

    def query(self, name: str, rtype: RecordType) -> Answer:
        """Answer one question about an A-label name without its last dot."""
        ...


class StaticResolver:
    """A resolver over a table, for tests and rehearsals; counts its questions in ``asked``."""

    def __init__(self, table: Mapping[tuple[str, str], Answer | Sequence[str]]) -> None:
        self._table = {
            (name.lower().rstrip("."), rtype): value if isinstance(value, Answer) else records(*value)
            for (name, rtype), value in table.items()
        }
        self.asked: list[tuple[str, str]] = []

    def query(self, name: str, rtype: RecordType) -> Answer:
        """Answer from the table; a name that has no entry of any type is ``nxdomain``."""
        key = name.lower().rstrip(".")
        self.asked.append((key, rtype))
        known = any(entry == key for entry, _ in self._table)
        return self._table.get((key, rtype), Answer("noanswer" if known else "nxdomain"))
