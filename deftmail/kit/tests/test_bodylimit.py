import pytest

from deftmail.kit.bodylimit import BodyLimit, limit_of


async def call(path, chunks, headers=()):
    """One request through the limiter to an application that reads all of it; answers (status, bytes it got)."""
    got = bytearray()
    sent = []
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def application(scope, receive, send):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            got.extend(message["body"])
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    await BodyLimit(application)({"type": "http", "path": path, "headers": list(headers)}, receive, send)
    return sent[0]["status"], len(got)


async def test_a_small_body_passes():
    assert await call("/api/v1/domains", [b"x" * 1000]) == (200, 1000)


async def test_a_long_content_length_is_refused_unread():
    length = (b"content-length", str(limit_of("/api/") + 1).encode())
    assert await call("/api/v1/domains", [b"x"], [length]) == (413, 0)


async def test_a_chunked_body_is_counted():
    status, got = await call("/api/v1/domains", [b"x" * 30_000] * 10)
    assert status == 413
    assert got <= limit_of("/api/")


@pytest.mark.parametrize("length", [b"-1", b"1e9", b"abc"])
async def test_a_length_that_is_no_number_is_refused(length):
    assert await call("/", [b"x"], [(b"content-length", length)]) == (413, 0)
