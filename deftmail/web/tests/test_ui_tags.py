"""Template tags: what they write, what they escape, what they refuse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django import forms
from django.core.paginator import Paginator
from django.template import Context, RequestContext, Template
from django.test import RequestFactory

from deftmail.kit import sizes
from deftmail.web import icons, states, words
from deftmail.web.templatetags import ui

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def render(source: str, path: str = "/domains/", **values: Any) -> str:
    request = RequestFactory().get(path)
    request.csp_nonce = "N0nce"  # type: ignore[attr-defined]
    request.user = SimpleNamespace(is_authenticated=False)  # type: ignore[assignment]
    return Template("{% load ui %}" + source).render(RequestContext(request, values))


def test_icon_is_hidden_without_a_label_and_named_with_one() -> None:
    assert 'aria-hidden="true"' in icons.icon("mail")
    named = icons.icon("mail", label='Mail "in"')
    assert 'role="img"' in named
    assert 'aria-label="Mail &quot;in&quot;"' in named


def test_unknown_icon_raises() -> None:
    with pytest.raises(icons.UnknownIconError, match="no-such-icon"):
        render('{% icon "no-such-icon" %}')


@pytest.mark.parametrize("look", states.STATES.values(), ids=states.STATES.keys())
def test_every_state_has_an_icon_and_a_word(look: states.Shown) -> None:
    assert icons.icon(look.icon)
    assert str(look.label)
    assert look.tone in {"neutral", "brand", "good", "warn", "bad"}


def test_unknown_state_is_shown_as_it_is() -> None:
    assert "Half done" in render('{% status "half_done" %}')


def test_hx_carries_the_nonce_and_leaves_none_out() -> None:
    html = render("<a {% hx get=url push_url=True target=nothing %}></a>", url="/x?a=1&b=2", nothing=None)
    assert html == '<a hx-nonce="N0nce" hx-get="/x?a=1&amp;b=2" hx-push-url="true"></a>'


def test_hx_writes_a_dict_as_json() -> None:
    assert 'hx-vals="{&quot;id&quot;: 3}"' in render("<a {% hx vals=vals %}></a>", vals={"id": 3})


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (None, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1536, "1.5 KB"),
        (10 * 1024**3, "10 GB"),
        (1024**2 * 512, "512 MB"),
        (5 * 1024**5, "5120 TB"),
    ],
)
def test_bytes(size: int | None, shown: str) -> None:
    assert sizes.size(size) == shown


@pytest.mark.parametrize(
    ("back", "shown"),
    [
        (timedelta(seconds=5), "just now"),
        (timedelta(minutes=1), "1 min ago"),
        (timedelta(minutes=59, seconds=20), "59 min ago"),
        (timedelta(minutes=59, seconds=50), "1 hour ago"),
        (timedelta(hours=23, minutes=40), "1 day ago"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(days=20), "4 Nov"),
        (timedelta(days=400), "20 Oct 2025"),
        (timedelta(minutes=-10), "in 10 min"),
    ],
)
def test_relative_times(back: timedelta, shown: str) -> None:
    assert words.relative(NOW - back, NOW) == shown


@time_machine.travel(NOW, tick=False)
def test_ago_gives_the_exact_time_to_people_and_machines() -> None:
    html = render("{% ago when %}", when=NOW - timedelta(hours=2))
    assert 'datetime="2026-11-24T10:00:00+00:00"' in html
    assert "24 November 2026, 10:00:00" in html
    assert ">2 hours ago<" in html
    assert render("{% ago when short=True %}", when=NOW - timedelta(hours=2)).endswith(">10:00</time>")
    assert render("{% ago when %}", when=None) == "never"


def test_copy_escapes_what_it_copies_and_has_a_name() -> None:
    html = render("{% copy value %}", value='v=DMARC1; "p"=<none>')
    assert 'data-copy="v=DMARC1; &quot;p&quot;=&lt;none&gt;"' in html
    assert "aria-label=" in html


def test_query_changes_and_removes_but_keeps_the_rest() -> None:
    assert render("{% query page=2 state=nothing %}", "/x?q=a+b&state=on", nothing=None) == "?q=a+b&amp;page=2"


def test_sort_link_turns_round_and_forgets_the_page() -> None:
    html = render('{% sort_link "name" "Name" %}', "/x?sort=name&page=3&q=z")
    assert 'href="?sort=-name&amp;q=z"' in html
    assert 'aria-current="true"' in html
    assert 'href="?sort=name"' in render('{% sort_link "name" "Name" %}', "/x?sort=-name")


def test_pagination_links_both_ways() -> None:
    html = render("{% pagination page %}", "/x?q=a&page=2", page=Paginator(range(120), 50).page(2))
    assert "51–100 of 120" in html
    assert 'rel="prev" href="?q=a"' in html
    assert 'rel="next" href="?q=a&amp;page=3"' in html


def test_breadcrumb_marks_where_one_is() -> None:
    html = render('{% breadcrumb "Domains" "/domains/" name %}', name="<b>.test")
    assert '<a href="/domains/">Domains</a>' in html
    assert '<span aria-current="page">&lt;b&gt;.test</span>' in html


@pytest.mark.parametrize(
    ("used", "limit", "tone", "words_in"),
    [
        (10, 100, "brand", "10 of 100"),
        (80, 100, "warn", "80 % used"),
        (96, 100, "bad", "96 % used"),
        (100, 100, "bad", "All used"),
        (7, None, "brand", "no limit"),
    ],
)
def test_meter_speaks_up_near_the_limit(used: int, limit: int | None, tone: str, words_in: str) -> None:
    html = render('{% meter used limit label="Storage" %}', used=used, limit=limit)
    assert f'data-tone="{tone}"' in html
    assert words_in in html
    assert ("<progress" in html) is (limit is not None)


def test_meter_of_a_limit_of_zero_is_full() -> None:
    assert "All used" in render('{% meter 0 0 label="Mailboxes" %}')
    assert "Full" in render('{% meter 0 0 label="Storage" unit="bytes" %}')


def test_card_escapes_its_title_and_keeps_its_content() -> None:
    html = render("{% card title %}<p>in</p>{% endcard %}", title="<i>")
    assert "<h2>&lt;i&gt;</h2>" in html
    assert "<p>in</p>" in html


def test_check_says_found_expected_and_what_to_do() -> None:
    html = render(
        '{% check title="SPF" state="fail" found="v=spf1 -all" expected=want todo="Change it." %}', want=["a", "b"]
    )
    assert html.count("data-copy=") == 2
    assert "v=spf1 -all" in html
    assert "Change it." in html
    assert 'data-state="fail"' in html


class Person(forms.Form):
    name = forms.CharField(help_text="As colleagues <know> it.")
    password = forms.CharField(widget=forms.PasswordInput)
    agree = forms.BooleanField()
    kind = forms.ChoiceField(choices=[("a", "A"), ("b", "B")], widget=forms.RadioSelect)
    note = forms.CharField(required=False)


def test_field_ties_label_hint_and_error_to_the_control() -> None:
    html = render("{% field form.name autofocus=True %}", form=Person({"name": ""}))
    assert 'for="id_name"' in html
    assert 'aria-describedby="id_name_helptext id_name_error"' in html
    assert 'aria-invalid="true"' in html
    assert 'id="id_name_helptext">As colleagues &lt;know&gt; it.' in html
    assert 'id="id_name_error"' in html
    assert "autofocus" in html


def test_fields_of_each_kind() -> None:
    form = Person()
    assert 'data-reveal="id_password"' in render("{% field form.password %}", form=form)
    assert 'data-kind="check"' in render("{% field form.agree %}", form=form)
    assert "<legend>Kind</legend>" in render("{% field form.kind %}", form=form)
    assert "(optional)" in render("{% field form.note %}", form=form)
    assert 'class="field"' in str(form["note"].as_field_group())


def test_form_errors_link_to_the_fields_only_where_there_are_several() -> None:
    assert 'href="#id_name"' in render("{% form_errors form %}", form=Person({}))
    one = Person({"password": "x", "agree": "on", "kind": "a"})
    assert render("{% form_errors form %}", form=one).strip() == ""
    one.add_error(None, "The address is taken.")
    assert "The address is taken." in render("{% form_errors form %}", form=one)


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Anna Berg", "AB"), ("anna@acme.test", "A"), ("anna.b.berg@x.test", "AB"), ("", "?"), (None, "?")],
)
def test_initials(name: str | None, letters: str) -> None:
    assert ui.initials(name) == letters


def test_tags_work_without_a_request() -> None:
    assert (
        Template('{% load ui %}<a {% hx get="/" %}>{% status "active" %}')
        .render(Context({}))
        .startswith('<a hx-nonce=""')
    )
