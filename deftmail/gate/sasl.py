"""The socket that Cyrus and Postfix ask for every password (saslauthd's protocol)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

import structlog

from deftmail.gate.database import AWAY, Busy
from deftmail.gate.passwords import Outcome, PasswordChecker
from deftmail.gate.saslwire import FrameError, FrameParser, Question, encode_answer

log = structlog.get_logger(__name__)

READ_WITHIN = 5.0
"""Seconds for the whole question: local servers write it at once."""
ANSWER_WITHIN = 20.0
"""Seconds for the answer: one hash behind a full queue. Then the caller is told nothing: temporary."""
CONNECTIONS_AT_MOST = 512

_NO = {
    Outcome.WRONG: "NO wrong address or password",
    Outcome.DISABLED: "NO wrong address or password",
    Outcome.LIMITED: "NO too many failed sign-ins, wait a quarter of an hour",
    Outcome.REFUSED_SERVICE: "NO passwords are not accepted here",
}


class SaslServer:
    """One question per connection. Hostile, slow or surplus callers are closed without an answer.

    No answer rather than `NO` whenever we do not know: libsasl then reports a failure of ours, and mail programs try
    again instead of asking their person for another password.
    """

    def __init__(self, checker: PasswordChecker) -> None:
        self._checker = checker
        self._open = 0

    @property
    def open_now(self) -> int:
        """Connections at this moment."""
        return self._open

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection to its end."""
        if self._open >= CONNECTIONS_AT_MOST:
            log.warning("sasl_connections_full", open=self._open)
            writer.close()
            return
        self._open += 1
        try:
            question = await asyncio.wait_for(_read(reader), READ_WITHIN)
            if question is None:
                return
            outcome = await asyncio.wait_for(self._checker.check(question, _caller(writer)), ANSWER_WITHIN)
            writer.write(encode_answer("OK" if outcome is Outcome.RIGHT else _NO[outcome]))
            await asyncio.wait_for(writer.drain(), READ_WITHIN)
        except FrameError as error:
            log.warning("sasl_garbage", error=str(error))
        except (TimeoutError, ConnectionError):
            log.warning("sasl_slow")
        except (Busy, *AWAY) as error:
            log.error("sasl_unavailable", error=type(error).__name__)
        except Exception:
            log.exception("sasl_fault")
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(ConnectionError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), READ_WITHIN)


def _caller(writer: asyncio.StreamWriter) -> int:
    """The process at the other end (unix(7), SO_PEERCRED)."""
    link = writer.get_extra_info("socket")
    pid, _uid, _gid = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)


async def _read(reader: asyncio.StreamReader) -> Question | None:
    parser = FrameParser()
    while data := await reader.read(4096):
        if (question := parser.feed(data)) is not None:
            return question
    return None  # hung up: a probe whether somebody listens, or half a question
