"""What never changes in a page is written when its template is loaded, and everything else as ever."""

from __future__ import annotations

import pytest
from django.template import Context, Template
from django.template.base import TextNode
from django.test import override_settings

from deftmail.web.templatetags import ui


def nodes_of(source: str) -> tuple[Template, list[bool]]:
    template = Template("{% load i18n ui %}" + source)
    return template, [isinstance(node, TextNode) for node in template.nodelist[1:]]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{% translate 'Inbox' %}", "Inbox"),
        ('{% translate "R&D" %}', "R&D"),
        ("{% icon 'mail' %}", str(ui.icon("mail"))),
        ("{% icon 'mail' class='big' label='It\"s' %}", str(ui.icon("mail", label='It"s', **{"class": "big"}))),
    ],
)
def test_quoted_texts_are_written_at_once(source: str, said: str) -> None:
    template, written = nodes_of(source)
    assert written == [True]
    assert template.render(Context()) == said


@pytest.mark.parametrize(
    "source",
    [
        "{% translate 'Inbox' as word %}",
        "{% translate word %}",
        "{% translate 'Inbox'|upper %}",
        "{% translate 'May' context 'month' %}",
        "{% icon name %}",
        "{% icon 'mail' class=name %}",
    ],
)
def test_what_depends_on_the_page_waits_for_it(source: str) -> None:
    assert nodes_of(source)[1] == [False]


def test_with_several_languages_words_wait_for_the_reader() -> None:
    with override_settings(USE_I18N=True):
        assert nodes_of("{% translate 'Inbox' %}")[1] == [False]
