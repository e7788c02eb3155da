"""The expressions of Stalwart's settings that are used here: `!is_empty(x) && !ends_with(y, 'z') || a == 'b'`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from deftmail.engine.drivers.stalwart.fake.patches import SetRefused

Object = dict[str, Any]
VARIABLES = frozenset(
    {"authenticated_as", "sender", "sender_domain", "rcpt", "rcpt_domain", "recipients", "listener", "local_port"}
    | {"remote_ip", "is_tls", "helo_domain"}
)
_TOKEN = re.compile(r"\s*(?:(&&|\|\||==|!=|[!(),])|'([^']*)'|([a-z_0-9]+))")


class _Parser:
    def __init__(self, text: str, facts: Mapping[str, str]) -> None:
        self.tokens: list[tuple[str, str]] = []
        self.facts = facts
        rest = text.rstrip()
        while rest:
            found = _TOKEN.match(rest)
            if found is None:
                raise ValueError(f"cannot be read: {rest}")
            kind = "sign" if found[1] else ("text" if found[2] is not None else "word")
            self.tokens.append((kind, found[1] or found[2] or found[3] or ""))
            rest = rest[found.end() :]

    def take(self, sign: str) -> bool:
        if self.tokens[:1] != [("sign", sign)]:
            return False
        self.tokens.pop(0)
        return True

    def either(self) -> Any:
        value = self.both()
        while self.take("||"):
            value = bool(self.both()) or bool(value)
        return value

    def both(self) -> Any:
        value = self.compared()
        while self.take("&&"):
            value = bool(self.compared()) and bool(value)
        return value

    def compared(self) -> Any:
        value = self.single()
        if self.take("=="):
            return value == self.single()
        if self.take("!="):
            return value != self.single()
        return value

    def single(self) -> Any:
        if self.take("!"):
            return not self.single()
        if self.take("("):
            value = self.either()
            self.must(")")
            return value
        if not self.tokens:
            raise ValueError("ends too early")
        kind, word = self.tokens.pop(0)
        if kind == "text" or word.isdigit():
            return word
        if self.take("("):
            arguments = [self.either()]
            while self.take(","):
                arguments.append(self.either())
            self.must(")")
            return self.called(word, arguments)
        if word in {"true", "false"}:
            return word == "true"
        if word not in VARIABLES:
            raise ValueError(f"no variable {word}")
        return self.facts.get(word, "")

    def must(self, sign: str) -> None:
        if not self.take(sign):
            raise ValueError(f"{sign} is missing")

    @staticmethod
    def called(name: str, arguments: list[Any]) -> bool:
        if name == "is_empty" and len(arguments) == 1:
            return not arguments[0]
        if name == "ends_with" and len(arguments) == 2:
            return str(arguments[0]).endswith(str(arguments[1]))
        if name == "is_local_domain" and len(arguments) == 1:
            return False  # of the fake's own routing nothing hangs on it
        raise ValueError(f"no function {name} of {len(arguments)}")


def holds(expression: Object, facts: Mapping[str, str]) -> bool:
    """The value of an Expression object: the first branch whose condition holds, else `else`."""
    for branch in (expression.get("match") or {}).values():
        if value_of(branch["if"], facts):
            return bool(value_of(branch["then"], facts))
    return bool(value_of(expression["else"], facts))


def value_of(text: str, facts: Mapping[str, str]) -> Any:
    parser = _Parser(text, facts)
    value = parser.either()
    if parser.tokens:
        raise ValueError(f"too much: {parser.tokens}")
    return value


def check(name: str, expression: Object) -> None:
    """Raises SetRefused for what Stalwart would not compile."""
    try:
        holds(expression, {})
        for branch in (expression.get("match") or {}).values():
            value_of(branch["then"], {})
    except (ValueError, KeyError) as error:
        raise SetRefused("validationFailed", description=f"Failed to parse: {error}", properties=[name]) from error
