"""Mail bodies in HTML, made safe to show, to quote and to send.

Three passes: :mod:`~deftmail.mailproto.htmltree` limits what parsing can cost, nh3 keeps allowed elements and
attributes and nothing else, and its attribute filter decides on links, pictures and style. Whoever shows the result
still serves it in a sandboxed frame with a policy of its own: this is one wall of two.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import quote, unquote

import nh3

from deftmail.mailproto import css
from deftmail.mailproto.htmltree import ATTRIBUTES, TAGS, normalize

# A grey box, drawn where a remote picture was not loaded. The address of the picture may follow as a fragment, which
# changes nothing in what is drawn and lets sanitize_outgoing put it back.
BLOCKED_IMAGE = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='24' height='24'%3E"
    "%3Crect width='100%25' height='100%25' fill='%23888' fill-opacity='.15'/%3E%3C/svg%3E"
)

_MAX_VALUE = 2_000  # characters of a plain attribute
_MAX_URL = 8_000
_LINK_SCHEMES = frozenset({"http", "https", "mailto", "tel"})
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_DATA_IMAGE = re.compile(r"data:image/(?:png|jpe?g|gif|webp|bmp);base64,[A-Za-z0-9+/=\s]*\Z", re.IGNORECASE)
_SIZE = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,3})?(?:px|%)?\Z")

# As nh3 writes a link to a place in the message itself: its quotes are escaped, so these are all its attributes.
_PLACE_LINK = re.compile(r'(<(?:a|area)(?: [a-z]++="[^"]*+")*? href="#[^"]*+"(?: [a-z]++="[^"]*+")*?) target="_blank"')

_FRAME_ONLY = frozenset({"class", "id", "name", "usemap"})  # in a page of ours they could meet our own names
_PLAIN_TAGS = TAGS - {"map", "area", "details", "summary"}
# What stands between the words of a page. Each alternative ends where the text does: none is tried in vain.
_MARKUP = re.compile(
    r"<!--(?:-?>|.*?(?:-->|\Z))|<(script|style|title)[\s/>].*?(?:</\1[^>]*+(?:>|\Z)|\Z)|(?P<tag><[a-z/!?][^>]*+(?:>|\Z))",
    re.IGNORECASE | re.DOTALL,
)
_PICTURE = re.compile(r"<(?:img|textarea)[\s/>]|\sbackground\s*=", re.IGNORECASE)  # or a text whose tags are words
_BLANK = re.compile(r"[\s\u00ad\u034f\u200b-\u200f\u2060\ufeff]*\Z")

_GONE = {"script", "style", "title", "svg", "math", "template", "object", "noembed", "noframes", "iframe", "xmp"}


@dataclass(frozen=True, slots=True)
class SanitizedHtml:
    """A fragment that is safe in a sandboxed frame.

    ``blocked_remote`` counts the remote pictures left out; ``cids`` are the inline parts it shows; ``truncated`` says
    that the message was longer than is shown.
    """

    html: str
    blocked_remote: int = 0
    cids: frozenset[str] = frozenset()
    truncated: bool = False


def sanitize_html(
    html: str,
    *,
    cid_url: Callable[[str], str | None],
    remote_images: bool,
    remote_url: Callable[[str], str] | None = None,
    for_quoting: bool = False,
    fold_quotes: str | None = None,
) -> SanitizedHtml:
    """Make a received body safe to show; never raises for any text.

    ``cid_url`` turns the Content-ID of an inline part (without angle brackets, RFC 2392) into the URL it is served
    at, or ``None``. Remote pictures load only with ``remote_images``, through ``remote_url`` where that is given; else
    a grey box stands in and they are counted. ``for_quoting`` makes a fragment for the composer, which lives in our own
    page: no ``<style>``, no class, id or name. ``fold_quotes`` is the label under which the quoted message is folded.
    """
    normal = normalize(html, fold_quotes=fold_quotes)
    chooser = _Chooser(cid_url=cid_url, remote_images=remote_images, remote_url=remote_url, composing=for_quoting)
    tags = (_PLAIN_TAGS | {"details", "summary"} if fold_quotes else _PLAIN_TAGS) if for_quoting else TAGS
    body = chooser.clean(normal.html, tags)
    sheet = "" if for_quoting else css.filter_stylesheet("\n".join(normal.styles))
    style = f"<style>{sheet}</style>" if sheet else ""
    return SanitizedHtml(style + body, chooser.blocked, frozenset(chooser.cids), normal.truncated)


def is_blank(html: str) -> bool:
    """Say whether a body has neither words nor pictures; costs little where it has some."""
    position = 0
    for markup in _MARKUP.finditer(html):
        if not is_blank_text(unescape(html[position : markup.start()])):
            return False
        tag = markup["tag"] or ""
        if tag.count('"') % 2 or tag.count("'") % 2:  # it goes on behind a ">" in quotes; not read further
            return False
        position = markup.end()
    return is_blank_text(unescape(html[position:])) and not _PICTURE.search(html)


def is_blank_text(text: str) -> bool:
    """Say whether nothing of a text can be seen."""
    return _BLANK.match(text) is not None


def sanitize_outgoing(html: str, *, cid_of_url: Callable[[str], str | None] | None = None) -> str:
    """Make what the composer posts safe to send; never raises for any text.

    ``cid_of_url`` turns a URL of ours back into the Content-ID of the part behind it. Pictures blocked by
    :func:`sanitize_html` get their address back; ``data:`` pictures and addresses of ours without a part are dropped.
    """
    chooser = _Chooser(cid_of_url=cid_of_url, outgoing=True, composing=True)
    return chooser.clean(normalize(html).html, _PLAIN_TAGS)


@dataclass(slots=True)
class _Chooser:
    """Decides about each attribute that nh3 would keep, and remembers what it met."""

    cid_url: Callable[[str], str | None] | None = None
    remote_images: bool = False
    remote_url: Callable[[str], str] | None = None
    cid_of_url: Callable[[str], str | None] | None = None
    composing: bool = False
    outgoing: bool = False
    blocked: int = 0
    cids: set[str] = field(default_factory=set)
    _fault: Exception | None = None

    def clean(self, html: str, tags: frozenset[str]) -> str:
        names = ATTRIBUTES - _FRAME_ONLY if self.composing else ATTRIBUTES
        names -= {"href", "src", "background"}
        forced = {"img": {"referrerpolicy": "no-referrer", "loading": "lazy"}}
        if not self.composing:
            forced["a"] = {"target": "_blank"}
            forced["area"] = {"target": "_blank", "rel": "noopener noreferrer nofollow"}
        cleaned = nh3.clean(
            html,
            tags=set(tags),
            clean_content_tags=_GONE,
            attributes={
                "*": set(names),
                "a": {"href"},
                "area": {"href"},
                "img": {"src"},
                **{tag: {"background"} for tag in ("table", "td", "th", "div")},
            },
            attribute_filter=self._choose,
            link_rel=None if self.outgoing else "noopener noreferrer nofollow",
            set_tag_attribute_values={} if self.outgoing else forced,
            url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
        )
        if self._fault is not None:  # nh3 swallows what its filter raises; a fault of our callbacks must be heard
            raise self._fault
        # A new tab would show the message alone; in its frame the place is scrolled to.
        return cleaned if self.composing else _PLACE_LINK.sub(r"\1", cleaned)

    def _choose(self, tag: str, name: str, value: str) -> str | None:
        try:
            if name == "style":
                return css.filter_declarations(value) or None
            if name == "href":
                return self._link(value)
            if name in ("src", "background"):
                return self._picture(name, value)
            return _plain(name, value)
        except Exception as error:  # re-raised by clean()
            self._fault = self._fault or error
            return None

    def _link(self, value: str) -> str | None:
        url = _tidy_url(value)
        if url.startswith("#"):
            return None if self.composing else url
        match = _SCHEME.match(url)
        return url if match and match[1].lower() in _LINK_SCHEMES else None  # a relative link would lead into our pages

    def _picture(self, name: str, value: str) -> str | None:
        url = _tidy_url(value, limit=None)
        scheme = (match[1].lower() if (match := _SCHEME.match(url)) else "")[:10]
        if self.outgoing:
            return self._outgoing_picture(url, scheme)
        if scheme == "cid":
            return self._inline_part(url)
        if scheme == "data":
            return url if _DATA_IMAGE.match(url) else None
        if scheme not in ("http", "https") or len(url) > _MAX_URL:
            return None
        if self.remote_images:
            return self.remote_url(url) if self.remote_url else url
        self.blocked += 1
        if name == "background":
            return None
        return f"{BLOCKED_IMAGE}#{quote(url, safe='')}" if self.composing else BLOCKED_IMAGE

    def _inline_part(self, url: str) -> str | None:
        cid = unquote(url[4:]).strip().removeprefix("<").removesuffix(">")  # RFC 2392 §2
        target = self.cid_url(cid) if self.cid_url and cid else None
        if target is not None:
            self.cids.add(cid)
        return target

    def _outgoing_picture(self, url: str, scheme: str) -> str | None:
        if url.startswith(BLOCKED_IMAGE + "#"):
            url = unquote(url[len(BLOCKED_IMAGE) + 1 :])
            scheme = (match[1].lower() if (match := _SCHEME.match(url)) else "")[:10]
        elif self.cid_of_url and (cid := self.cid_of_url(url)) is not None:
            self.cids.add(cid)
            return f"cid:{quote(cid, safe='@!$&*+-._~')}"
        return url if scheme in ("http", "https", "cid") and len(url) <= _MAX_URL else None


def _tidy_url(value: str, *, limit: int | None = _MAX_URL) -> str:
    """Read a URL as browsers do: tabs and line breaks inside it do not count, nor do controls around it."""
    if limit is not None and len(value) > limit:
        return ""
    url = re.sub(r"[\t\n\r]", "", value).strip("".join(map(chr, range(33))))
    return "https:" + url if url.startswith("//") else url


def _plain(name: str, value: str) -> str | None:
    if len(value) > _MAX_VALUE:
        return None
    if name in ("width", "height", "border", "cellpadding", "cellspacing", "hspace", "vspace"):
        return value if _SIZE.match(value.strip()) else None
    if name == "usemap":
        return value if value.startswith("#") else None
    return value
