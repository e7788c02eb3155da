"""Names of attachments: cleaned, and written into a Content-Disposition header."""

import mimetypes
import re
import unicodedata
from urllib.parse import quote

MAX_NAME = 200  # octets in UTF-8; file systems stop at 255

_PATH = re.compile(r"[/\\]")
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\x7f-\x9f]')  # what Windows refuses, and controls
# Marks that turn the reading direction make "gpj.exe" look like "exe.jpg"; zero-width ones hide in a name.
_INVISIBLE = re.compile("[\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufff9-\ufffb]")
_STEMS = {
    "text/calendar": "invite",
    "text/vcard": "contact",
    "message/rfc822": "message",
    "application/pdf": "document",
}
_STEMS |= {kind: kind for kind in ("image", "audio", "video")}
_ENDINGS = mimetypes.MimeTypes()  # Python's own table; the machine's may say anything
for _kind, _ending in (("text/calendar", ".ics"), ("text/vcard", ".vcf"), ("message/rfc822", ".eml")):
    _ENDINGS.add_type(_kind, _ending)
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|\Z)", re.IGNORECASE)


def clean_filename(name: str, *, default: str = "attachment") -> str:
    """Return a name that any system can store, that names no path, and that reads as it is. Never raises."""
    name = unicodedata.normalize("NFC", name[:4_000])
    name = _PATH.split(_INVISIBLE.sub("", name))[-1]
    name = re.sub(r"\s+", " ", _FORBIDDEN.sub("_", name)).strip(" .")
    if not name.strip("_ "):
        return default
    if _DEVICE.match(name):
        name = "_" + name
    return _shorten(name)


def default_filename(kind: str) -> str:
    """The name of a part that has none, with the ending by which systems know what to open it with."""
    main = kind.partition("/")[0]
    stem = _STEMS.get(kind) or _STEMS.get(main, "attachment")
    return stem + (_ENDINGS.guess_extension(kind) or "")


def content_disposition(name: str, *, inline: bool = False) -> str:
    """Return the value of an HTTP Content-Disposition header (RFC 6266), for any name.

    ``filename`` for old clients in plain ASCII, ``filename*`` (RFC 8187) beside it where the name needs more.
    """
    kind = "inline" if inline else "attachment"
    cleaned = clean_filename(name)
    ascii_name = unicodedata.normalize("NFKD", cleaned).encode("ascii", "ignore").decode()
    # RFC 6266 appendix D: percent signs and escapes in the plain form are read differently by different browsers.
    ascii_name = re.sub(r"[%\"\\;]", "_", ascii_name).strip() or "attachment"
    if ascii_name.startswith("."):
        ascii_name = "attachment" + ascii_name
    plain = f'{kind}; filename="{ascii_name}"'
    if ascii_name == cleaned:
        return plain
    return f"{plain}; filename*=UTF-8''{quote(cleaned, safe='!#$&+-.^_`|~')}"


def _shorten(name: str) -> str:
    if len(name.encode()) <= MAX_NAME:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension.encode()) > 20:
        stem, dot, extension = name, "", ""
    room = MAX_NAME - len((dot + extension).encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(" .") + dot + extension
