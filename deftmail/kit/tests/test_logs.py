"""Logs are read by more people than may open accounts."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import structlog
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from deftmail.kit.logs import configure, without_secrets_of_links
from deftmail.kit.requestlog import RequestLog


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/signup/confirm/0a1b2c", "/signup/confirm/…"),
        ("/password/reset/4kx-cx1-9f00aa", "/password/reset/4kx-…"),
        ("/password/reset/4kx-set-password", "/password/reset/4kx-set-password"),
        ("/password/reset/sent", "/password/reset/sent"),
        ("/account/address/WyJh:1x:Sig_-", "/account/address/…"),
        ("/mail/undo/AbC_1-", "/mail/undo/…"),
        ("Gone: /signup/confirm/0a1b2c", "Gone: /signup/confirm/…"),
        ("/domains/6f0e/", "/domains/6f0e/"),
    ],
)
def test_what_opens_an_account_is_not_in_a_path(path: str, shown: str) -> None:
    assert without_secrets_of_links(path) == shown


def lines_of(request: HttpRequest) -> tuple[HttpResponse, list[dict[str, Any]]]:
    def answer(_request: HttpRequest) -> HttpResponse:
        return HttpResponse("ok")

    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as captured:
        response = RequestLog(answer)(request)
    assert isinstance(response, HttpResponse)
    return response, [dict(line) for line in captured]


def test_a_request_is_logged_without_link_secret_search_words_or_a_forged_address() -> None:
    request = RequestFactory().get(
        "/signup/confirm/topsecret?q=private&to=a@b.example",
        HTTP_X_FORWARDED_FOR="203.0.113.9",
        HTTP_X_REQUEST_ID="forged",
        REMOTE_ADDR="198.51.100.7",
    )
    response, lines = lines_of(request)
    text = repr(lines)
    for secret in ("topsecret", "private", "a@b.example", "203.0.113.9", "forged"):
        assert secret not in text
    assert {line["request"] for line in lines} == {"GET /signup/confirm/…?q=…&to=…"}
    assert {line["ip"] for line in lines} == {"198.51.100.7"}
    assert {line["request_id"] for line in lines} == {response["X-Request-ID"]}


def test_one_line_says_what_was_asked_with_what_program_and_how_long_it_took() -> None:
    request = RequestFactory().get("/domains/", headers={"User-Agent": "mutt/2.2" + "x" * 1000})
    [line] = [line for line in lines_of(request)[1] if line["log_level"] != "debug"]
    assert line["event"] == "request_finished"
    assert line["code"] == 200
    assert 0 <= line["duration_ms"] < 10_000
    assert line["user_agent"].startswith("mutt/2.2x")
    assert len(line["user_agent"]) <= 300


def test_lines_of_other_libraries_are_cleaned_too(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        configure()
        logging.getLogger("django.request").warning("Gone: %s", "/signup/confirm/topsecret")
        said = capsys.readouterr().err
    finally:
        root.handlers[:], root.level = before
    assert "Gone: /signup/confirm/" in said
    assert "topsecret" not in said
