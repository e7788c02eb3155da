"""Binary data: attachments up, attachments and whole messages down (RFC 8620 §6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, Self

import httpx2

from deftmail.jmap.caller import Caller
from deftmail.jmap.errors import EngineUnavailable, TooLarge
from deftmail.jmap.values import as_count, as_text

CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Blob:
    """Uploaded data; the engine forgets it after a day or so unless a message uses it."""

    id: str
    type: str
    size: int


class Download:
    """A blob on its way to us. Iterate over it once; it closes itself at the end, or on ``close``."""

    def __init__(self, stack: ExitStack, response: httpx2.Response) -> None:
        self._stack = stack
        self._response = response
        length = response.headers.get("content-length", "")
        # Bytes; None when the engine does not say, or says the size of something compressed.
        plain = response.headers.get("content-encoding", "identity") == "identity"
        self.size: int | None = int(length) if plain and length.isascii() and length.isdigit() else None
        self.type: str = response.headers.get("content-type", "application/octet-stream")

    def chunks(self) -> Iterator[bytes]:
        """The bytes.

        Raises:
            EngineUnavailable: the connection broke on the way.
        """
        with self._stack:
            try:
                yield from self._response.iter_bytes(CHUNK)
            except httpx2.HTTPError as error:
                raise EngineUnavailable("download broken off", code="broken", sent=True) from error

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks()

    def read(self, limit: int) -> bytes:
        """All of it.

        Raises:
            TooLarge: more than ``limit`` bytes.
        """
        data = bytearray()
        with self:
            for chunk in self.chunks():
                data += chunk
                if len(data) > limit:
                    raise TooLarge(f"more than {limit} bytes")
        return bytes(data)

    def head(self, limit: int) -> bytes:
        """Its first bytes."""
        data = bytearray()
        with self:
            for chunk in self.chunks():
                data += chunk
                if len(data) >= limit:
                    break
        return bytes(data[:limit])

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _pieces(stream: IO[bytes] | Iterable[bytes]) -> Iterator[bytes]:
    read = getattr(stream, "read", None)
    if read is None:
        yield from stream
        return
    while piece := read(CHUNK):
        yield piece


class BlobCalls(Caller):
    """Uploads and downloads, never held in memory whole."""

    def upload(self, data: bytes | IO[bytes] | Iterable[bytes], type_: str, size: int | None = None) -> Blob:
        """Store data in the engine. ``size`` in bytes, where known, spares a refused transfer.

        Raises:
            TooLarge: more than the engine takes; nothing was stored.
        """
        session = self.session
        if isinstance(data, bytes):
            size = len(data)
        if size is not None and size > session.limits.size_upload:
            raise TooLarge("larger than maxSizeUpload")
        headers = {"Content-Type": type_ if type_.isascii() and type_.isprintable() else "application/octet-stream"}
        if size is not None and not isinstance(data, bytes):
            headers["Content-Length"] = str(size)
        content = data if isinstance(data, bytes) else _pieces(data)
        answer: Any = self.client.upload(self.access, session, content, headers)
        blob_id = as_text(answer.get("blobId")) if isinstance(answer, dict) else ""
        if not blob_id:
            raise EngineUnavailable("upload without a blob id", code="badAnswer", sent=True)
        return Blob(blob_id, as_text(answer.get("type")) or type_, as_count(answer.get("size")) or size or 0)

    def download(self, blob_id: str, name: str = "file", type_: str = "application/octet-stream") -> Download:
        """Open a blob for reading; ``name`` and ``type_`` only shape the engine's headers.

        Raises:
            NotFound: no such blob in this account.
        """
        url = self.session.download_url(self._id(blob_id), name, type_)
        stack = ExitStack()
        response = stack.enter_context(self.client.download(self.access, url))
        return Download(stack, response)
