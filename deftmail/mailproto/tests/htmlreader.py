"""Reading sanitised HTML with a parser that had no part in making it."""

from html.parser import HTMLParser

from deftmail.mailproto.html import SanitizedHtml, sanitize_html
from deftmail.mailproto.htmltree import ATTRIBUTES, TAGS

VOID = {"area", "br", "col", "hr", "img", "wbr"}


def cid_url(cid: str) -> str | None:
    return f"/webmail/part/{cid}" if cid.startswith("known") else None


def shown(html: str, *, remote_images: bool = False, for_quoting: bool = False) -> SanitizedHtml:
    return sanitize_html(html, cid_url=cid_url, remote_images=remote_images, for_quoting=for_quoting)


class Reader(HTMLParser):
    """An independent reading of the result: every tag and attribute in it, and how deep it nests."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.depth = self.deepest = 0
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.depth += 1
            self.deepest = max(self.deepest, self.depth)

    def handle_endtag(self, tag: str) -> None:
        self.depth -= 1

    def handle_data(self, data: str) -> None:
        self.words += data


def assert_harmless(html: str, *, remote: bool = False, framed: bool = True) -> None:
    reader = Reader(html)
    for tag, attributes in reader.found:
        assert tag in TAGS | {"style"}, tag
        for name, value in attributes.items():
            assert name in ATTRIBUTES | {"target", "rel", "loading", "referrerpolicy"}, name
            value = value or ""
            if name == "href":
                assert value.lower().startswith(("http:", "https:", "mailto:", "tel:", "#")), value
            if name in ("src", "background"):
                allowed = (
                    ("/webmail/part/", "data:image/", "http", "cid:") if remote else ("/webmail/part/", "data:image/")
                )
                assert value.lower().startswith(allowed), value
            if name == "style":
                assert "url(" not in value.lower().split('"')[0]
                assert "position:" not in value.lower()
        if tag in ("a", "area"):
            leaves = not (attributes.get("href") or "").startswith("#")
            assert attributes.get("target") == ("_blank" if framed and leaves else None)
            assert attributes.get("rel") == "noopener noreferrer nofollow"
