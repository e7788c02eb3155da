"""Public pages, error pages and the answers to htmx, without any server: none of them may need a database."""

from __future__ import annotations

import json
import re

import pytest
from django.contrib.messages.storage.cookie import CookieStorage
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django_htmx.middleware import HtmxDetails

from deftmail.kit import htmx
from deftmail.kit.confirm import ConfirmForm
from deftmail.kit.mail import render_mail
from deftmail.web import errors, legal, nav
from deftmail.web.templatetags import ui


@pytest.fixture
def http() -> Client:
    return Client(raise_request_exception=False)


@pytest.mark.parametrize(
    "path", ["/legal/terms", "/legal/privacy", "/dev/ui", "/dev/ui/mail", "/dev/ui/card", "/dev/ui/confirm"]
)
def test_pages_are_whole_without_a_database(http: Client, path: str) -> None:
    response = http.get(path)
    html = response.content.decode()
    assert response.status_code == 200
    assert html.count("<h1") >= 1
    assert 'lang="en"' in html
    nonce = re.search(r"'nonce-([^']+)'", response.headers["Content-Security-Policy"])
    assert nonce
    assert f'nonce="{nonce[1]}"' in html.replace("&#x2B;", "+")
    assert "unsafe" not in response.headers["Content-Security-Policy"]


def test_each_response_has_its_own_nonce(http: Client) -> None:
    first, second = (http.get("/legal/terms").headers["Content-Security-Policy"] for _ in range(2))
    assert first != second


def test_legal_pages_name_their_version(http: Client) -> None:
    assert legal.TERMS_VERSION in http.get("/legal/terms").content.decode()
    assert legal.PRIVACY_VERSION in http.get("/legal/privacy").content.decode()
    assert len(legal.TERMS_VERSION) <= 20


@pytest.mark.parametrize(
    ("cookie", "theme"), [("dark", "dark"), ("light", "light"), ("system", "system"), ('"><b', "system")]
)
def test_theme_comes_from_the_cookie(http: Client, cookie: str, theme: str) -> None:
    http.cookies["dm_theme"] = cookie
    assert f'data-theme="{theme}"' in http.get("/legal/terms").content.decode()


@pytest.mark.parametrize("status", sorted(errors.PAGES))
def test_error_pages_say_what_why_and_what_now(status: int) -> None:
    response = errors.error_page(RequestFactory().get("/x?<script>"), status)
    html = response.content.decode()
    said = errors.PAGES[status]
    assert response.status_code == status
    for text in (said.title, said.why, said.todo):
        assert str(text) in html
    assert "<script>" not in html


def test_an_error_for_htmx_is_one_sentence() -> None:
    response = errors.not_found(RequestFactory().get("/x", headers={"HX-Request": "true"}))
    assert response.headers["Content-Type"].startswith("text/plain")
    assert b"<" not in response.content


def test_unknown_address_is_our_page(http: Client) -> None:
    response = http.get("/no/such/page")
    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()


def _request(*, fragment: bool) -> HttpRequest:
    request = RequestFactory().post("/x", headers={"HX-Request": "true"} if fragment else {})
    request.htmx = HtmxDetails(request)  # type: ignore[attr-defined]
    request._messages = CookieStorage(request)  # type: ignore[attr-defined]
    return request


def test_redirect_is_303_or_a_header_for_htmx() -> None:
    plain = htmx.redirect(_request(fragment=False), "web:terms")
    assert (plain.status_code, plain.headers["Location"]) == (303, "/legal/terms")
    asked = htmx.redirect(_request(fragment=True), "web:terms")
    assert (asked.status_code, asked.headers["HX-Redirect"]) == (200, "/legal/terms")


def _through(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    answer = htmx.ToastMiddleware(lambda _request: response)(request)
    assert isinstance(answer, HttpResponse)
    return answer


def test_a_toast_rides_on_the_fragment_with_its_undo() -> None:
    request = _request(fragment=True)
    htmx.toast(request, "Archivé", undo_url="/undo/1", kind="success")
    response = HttpResponse("<p>")
    htmx.announce(response, "3 results")
    events = json.loads(_through(request, response).headers["HX-Trigger"])
    assert events["deft:toast"]["toasts"] == [{"text": "Archivé", "kind": "success", "undo": "/undo/1"}]
    assert events["deft:announce"] == {"text": "3 results"}
    assert response.headers["HX-Trigger"].isascii()


@pytest.mark.parametrize("case", ["plain", "redirect", "failed"])
def test_a_toast_waits_for_the_page_where_no_fragment_shows_it(case: str) -> None:
    request = _request(fragment=case != "plain")
    htmx.toast(request, "Saved")
    response = {
        "plain": HttpResponse("x"),
        "redirect": HttpResponse(headers={"HX-Redirect": "/"}),
        "failed": HttpResponse(status=503),
    }[case]
    assert "HX-Trigger" not in _through(request, response).headers
    assert [message.message for message in request._messages] == ["Saved"]  # type: ignore[attr-defined]


def test_a_whole_page_asked_by_htmx_is_no_fragment() -> None:
    request = RequestFactory().get("/x", headers={"HX-Request": "true", "HX-Request-Type": "full"})
    request.htmx = HtmxDetails(request)  # type: ignore[attr-defined]
    assert not htmx.is_fragment(request)


@pytest.mark.parametrize(
    ("typed", "right"), [("acme.test", True), ("  ACME.test ", True), ("acme.tes", False), ("", False)]
)
def test_confirm_takes_the_phrase_only(typed: str, right: bool) -> None:
    assert ConfirmForm({"confirm": typed}, phrase="acme.test").is_valid() is right


def test_confirm_page_refuses_with_422_and_keeps_what_was_typed(http: Client) -> None:
    response = http.post("/dev/ui/confirm", {"confirm": "acme"})
    assert response.status_code == 422
    assert 'value="acme"' in response.content.decode()


def test_confirm_is_a_dialog_for_htmx(http: Client) -> None:
    html = http.get("/dev/ui/confirm", headers={"HX-Request": "true"}).content.decode()
    assert html.lstrip().startswith("<dialog")
    assert "hx-post" in html


def test_navigation_marks_the_longest_match(monkeypatch: pytest.MonkeyPatch) -> None:
    urls = {"web:overview": "/console/", "domains:list": "/console/domains/"}
    monkeypatch.setattr(nav, "first_url", lambda *names: next((urls[name] for name in names if name in urls), ""))
    links = nav.console_links("/console/domains/acme.test")
    assert [(link.section, link.current) for link in links] == [("overview", False), ("domains", True)]
    assert [link.current for link in nav.console_links("/x", "overview")] == [True, False]


def test_asset_addresses_change_with_their_content() -> None:
    assert re.fullmatch(r"/static/dist/app\.js\?v=[0-9a-f]{12}", ui.asset_url("app.js"))
    assert ui.asset_url("unbuilt.js") == "/static/dist/unbuilt.js"


def test_mail_has_one_subject_line_and_two_parts_that_say_the_same(tmp_path, settings) -> None:
    folder = tmp_path / "emails"
    folder.mkdir()
    (folder / "hello.subject.txt").write_text("Hello\n {{ name }}\r\nBcc: x@example.test\n")
    (folder / "hello.txt").write_text('{% extends "emails/base.txt" %}{% block content %}Dear {{ name }}{% endblock %}')
    (folder / "hello.html").write_text(
        '{% extends "emails/base.html" %}{% block content %}<p>Dear {{ name }}</p>{% endblock %}'
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    mail = render_mail("hello", {"name": "Ann & <Bo>"})
    assert "\n" not in mail.subject
    assert "Dear Ann & <Bo>" in mail.text
    assert "Dear Ann &amp; &lt;Bo&gt;" in mail.html
    assert "{{" not in mail.text + mail.html
