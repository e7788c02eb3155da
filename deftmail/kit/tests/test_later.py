"""Parts of a page that are written after its frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest
from django.template import engines
from django.test import RequestFactory, override_settings

from deftmail.kit.later import render_around

PAGE = """{% load ui %}<h1>{% later %}{{ count }} of {{ name }}{% endlater %}</h1>
{% for side in sides %}{% with at=side %}{% later %}<p>{{ at }}: {{ count }}</p>{% endlater %}{% endwith %}{% endfor %}
<footer>{{ name }} {{ request.path }}</footer>"""
Page = Callable[..., str]


@pytest.fixture
def request_() -> HttpRequest:
    return RequestFactory().get("/here")


@pytest.fixture(autouse=True)
def _pages() -> Any:
    loader = ("django.template.loaders.locmem.Loader", {"page.html": PAGE})
    options = {
        "loaders": [loader],
        "context_processors": ["django.template.context_processors.request"],
    }
    with override_settings(
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": options}]
    ):
        yield


def test_the_frame_is_written_first_and_the_page_is_the_same(request_: HttpRequest) -> None:
    order: list[str] = []

    class Name:
        def __str__(self) -> str:
            order.append("frame" if len(order) < 1 else "later")
            return "anna"

    def answer() -> dict[str, Any]:
        order.append("answer")
        return {"count": 3}

    frame = {"name": Name(), "sides": ["left", "right"]}
    page = render_around(request_, "page.html", frame, answer).content.decode()
    assert order == ["frame", "answer", "later"]
    at_once = engines["django"].get_template("page.html").render({**frame, "count": 3}, request_)
    assert page == at_once
    assert "<p>left: 3</p><p>right: 3</p>" in page
    assert "anna /here" in page


def test_what_the_answer_raises_is_raised(request_: HttpRequest) -> None:
    with pytest.raises(ZeroDivisionError):
        render_around(request_, "page.html", {}, lambda: {"count": 1 // 0})


def test_no_text_of_a_page_passes_for_a_part_left_open(request_: HttpRequest) -> None:
    first = render_around(request_, "page.html", {"name": "<!-- 0 -->"}, lambda: {"count": "<!-- 1 -->"}).content
    assert b"&lt;!-- 1 --&gt; of &lt;!-- 0 --&gt;" in first
