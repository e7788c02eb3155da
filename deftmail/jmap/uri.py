"""URL templates of the session object (RFC 8620 §2 asks for level 1 of RFC 6570) and the internal origin.

An engine may advertise its public host; we always talk to the address we were given for it.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from deftmail.jmap.errors import EngineUnavailable

_EXPRESSION = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z0-9_.]+")


def expand(template: str, **values: str) -> str:
    """``template`` with each ``{name}`` replaced by its value, everything but unreserved characters escaped
    (RFC 6570 §3.2.2). A name we have no value for becomes empty, as the RFC says.

    Raises:
        EngineUnavailable: an expression of a higher level, which JMAP does not use.
    """

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        if _NAME.fullmatch(name) is None:
            raise EngineUnavailable(f"URL template with {match.group(0)!r}", code="badSession")
        # A name of dots alone would be folded away as a path segment; escaping the first dot keeps it a name.
        value = quote(values.get(name, ""), safe="-._~")
        return value.replace(".", "%2E", 1) if value in {".", ".."} else value

    return _EXPRESSION.sub(replace, template)


def on_origin(url: str, base: str) -> str:
    """``url`` (absolute or relative to ``base``) moved to the scheme, host and port of ``base``.

    Templates keep their braces.

    Raises:
        EngineUnavailable: not a URL.
    """
    origin = urlsplit(base)
    try:
        parts = urlsplit(urljoin(base, url))
    except ValueError as error:
        raise EngineUnavailable("session with a broken URL", code="badSession") from error
    return urlunsplit((origin.scheme, origin.netloc, parts.path or "/", parts.query, ""))
