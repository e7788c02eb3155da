"""Several method calls in one HTTP request, later ones using results of earlier ones (RFC 8620 §3.3, §3.7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from deftmail.jmap.errors import EngineUnavailable, MethodFailed, RequestRefused
from deftmail.jmap.session import CORE, MAIL, Session
from deftmail.jmap.values import as_text

T = TypeVar("T")
Arguments = dict[str, Any]

# Only these may be repeated when an answer was lost.
_READING = frozenset({"get", "query", "changes", "queryChanges", "echo"})


@dataclass(frozen=True, eq=False, slots=True)
class Call(Generic[T]):
    """One method call of a batch and how to read its answer."""

    id: str
    name: str
    arguments: Arguments
    parse: Callable[[Arguments], T]

    def ref(self, path: str) -> dict[str, str]:
        """A result reference: ``{"#ids": query.ref("/ids")}`` (RFC 8620 §3.7)."""
        return {"resultOf": self.id, "name": self.name, "path": path}


class Batch:
    """Collects method calls for one account. ``accountId`` and ``using`` are filled in."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.calls: list[Call[Any]] = []
        self._using: dict[str, None] = {CORE: None}

    def call(self, name: str, arguments: Arguments, parse: Callable[[Arguments], T]) -> Call[T]:
        """Add a call.

        Raises:
            MethodFailed: the engine does not have this data type (``unknownMethod``).
            RequestRefused: more calls than the engine takes in one request (``limit``).
        """
        capability = self.session.capability_for(name.split("/", 1)[0])
        if capability is None:
            raise MethodFailed("unknownMethod", "the engine lacks this data type", method=name)
        if len(self.calls) >= self.session.limits.calls_in_request:
            raise RequestRefused("more calls than maxCallsInRequest", code="limit")
        self._using[capability] = None
        if "onSuccessUpdateEmail" in arguments or "onSuccessDestroyEmail" in arguments:
            # RFC 8621 §7.5: the implied Email/set needs its own capability, and without it these are unknown arguments.
            self._using[MAIL] = None
        call = Call(str(len(self.calls)), name, {"accountId": self.session.account_id, **arguments}, parse)
        self.calls.append(call)
        return call

    @property
    def idempotent(self) -> bool:
        """Whether sending it twice is the same as sending it once."""
        return all(call.name.rsplit("/", 1)[-1] in _READING for call in self.calls)

    def body(self) -> dict[str, Any]:
        """The Request object."""
        calls = [[call.name, call.arguments, call.id] for call in self.calls]
        return {"using": list(self._using), "methodCalls": calls}


@dataclass(slots=True)
class Answers:
    """The Response object: one answer or one error per call, so that a call that fails leaves the others standing."""

    session_state: str
    _found: dict[str, list[tuple[str, Arguments]]] = field(default_factory=dict)

    @classmethod
    def read(cls, data: object) -> Answers:
        """Raises EngineUnavailable (``badAnswer``) when it is not a Response object."""
        if not isinstance(data, dict) or not isinstance(data.get("methodResponses"), list):
            raise EngineUnavailable("not a JMAP response", code="badAnswer", sent=True)
        answers = cls(as_text(data.get("sessionState")))
        for item in data["methodResponses"]:
            match item:
                case [str(name), dict(arguments), str(call_id)]:
                    answers._found.setdefault(call_id, []).append((name, arguments))
                case _:
                    raise EngineUnavailable("malformed method response", code="badAnswer", sent=True)
        return answers

    def get(self, call: Call[T]) -> T:
        """The typed answer of a call.

        Raises:
            MethodFailed: the engine answered ``error`` for it.
            EngineUnavailable: it did not answer it at all (``badAnswer``).
        """
        found = self._found.get(call.id, [])
        for name, arguments in found:
            if name == call.name:
                return call.parse(arguments)
        for name, arguments in found:
            if name == "error":
                type_ = as_text(arguments.get("type")) or "serverFail"
                raise MethodFailed(type_, as_text(arguments.get("description")), method=call.name)
        raise EngineUnavailable(f"no answer for {call.name}", code="badAnswer", sent=True)

    def maybe(self, call: Call[T] | None) -> T | None:
        """Like ``get``, None where that would raise: for parts a page can do without."""
        if call is None:
            return None
        try:
            return self.get(call)
        except (MethodFailed, EngineUnavailable):
            return None

    def implied(self, call: Call[Any], name: str) -> Arguments | None:
        """The answer of a method the engine ran because of ``call`` (onSuccessUpdateEmail)."""
        return next((arguments for found, arguments in self._found.get(call.id, []) if found == name), None)
