"""From a message to the composer and from the composer to what is sent, without servers."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import redis
from django import forms
from django.contrib import messages
from django.urls import reverse

from deftmail.jmap import Email, SendRefused, SendUnknown, Sent
from deftmail.kit import ratelimit
from deftmail.kit.problems import BadRequest
from deftmail.sending import counters
from deftmail.sending.decisions import Code
from deftmail.sending.limits import Decision, Meter
from deftmail.webmail import composing, sendonce, undo
from deftmail.webmail.composing import Attached, ComposeForm
from deftmail.webmail.tests.conftest import Desk
from deftmail.webmail.views import compose, folders

MEI = {"name": "Mei Tanaka", "email": "mei@north.example"}
ME = {"name": "Anna Keller", "email": "anna@acme.test"}


def email(**members: Any) -> Email:
    """A message as the engine tells it."""
    given = {"id": "M1", "blobId": "G1", "threadId": "T1", "subject": "Oak", "from": [MEI], "to": [ME], **members}
    return Email.model_validate({name.rstrip("_"): value for name, value in given.items()})


def text_email(text: str, **members: Any) -> Email:
    parts = [{"partId": "1", "type": "text/plain"}]
    return email(textBody=parts, htmlBody=parts, bodyValues={"1": {"value": text}}, **members)


def html_email(html: str, **members: Any) -> Email:
    parts = [{"partId": "1", "type": "text/html"}]
    return email(textBody=parts, htmlBody=parts, bodyValues={"1": {"value": html}}, **members)


def form_of(**data: Any) -> ComposeForm:
    form = ComposeForm(data)
    assert form.is_valid(), form.errors
    return form


def post(desk: Desk, **data: Any) -> Any:
    """Press Send, as a script does."""
    fields = {"to": "mei@north.example", "subject": "s", "text": "t", "do": "send", **data}
    return desk.call(compose.compose, desk.request("post", "/mail/compose", fields, **{"HX-Request": "true"}))


@pytest.fixture(autouse=True)
def _no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """These run without Redis."""

    def away(*_args: Any, **_kwargs: Any) -> Any:
        return SimpleNamespace(acquire=_raise)

    def _raise() -> bool:
        raise redis.ConnectionError

    monkeypatch.setattr(ratelimit, "client", lambda: SimpleNamespace(lock=away))


def test_an_answer_quotes_text_line_by_line(desk: Desk) -> None:
    start = composing.answer(desk.mail, text_email("one\ntwo\n\n-- \nMei"), "reply")
    assert start.initial["text"].endswith("Mei Tanaka wrote:\n> one\n> two")
    assert "one<br>two" in start.initial["html"]
    assert " style=" not in start.initial["html"]
    assert '<blockquote type="cite" data-dm-style="margin' in start.initial["html"]
    assert start.initial["subject"] == "Re: Oak"
    assert start.initial["to"] == "Mei Tanaka <mei@north.example>"


def test_an_answer_quotes_html_without_what_is_not_shown(desk: Desk) -> None:
    start = composing.answer(
        desk.mail, html_email('<p>Hi</p><script>x</script><img src="https://t.example/p.gif">'), "all"
    )
    assert "<p>Hi</p>" in start.initial["html"]
    assert "script" not in start.initial["html"]
    assert 'src="https://t.example' not in start.initial["html"]


def test_subjects_do_not_pile_up(desk: Desk) -> None:
    assert (
        composing.answer(desk.mail, text_email("x", subject="RE: Re: AW: Oak"), "reply").initial["subject"] == "Re: Oak"
    )
    assert composing.forward(desk.mail, text_email("x", subject="Fwd: Oak")).initial["subject"] == "Fwd: Oak"


def test_a_forward_names_whose_it_was_and_keeps_every_file(desk: Desk) -> None:
    files = [
        {"partId": "2", "blobId": "Gp", "type": "application/pdf", "name": "plan.pdf", "size": 10},
        {"partId": "3", "blobId": "Gi", "type": "image/png", "name": "p.png", "size": 5, "cid": "p@x"},
    ]
    start = composing.forward(desk.mail, html_email('<img src="cid:p@x">', attachments=files, cc=[MEI]))
    assert [(file.blob_id, file.cid) for file in start.attached] == [("Gi", "p@x"), ("Gp", "")]
    assert "From: Mei Tanaka <mei@north.example>" in start.initial["text"]
    assert "/mail/picture/Gi?type=image/png" in start.initial["html"]


def test_a_quoted_picture_goes_with_the_answer_only_while_it_is_shown(desk: Desk) -> None:
    picture = Attached("Gi", "p.png", "image/png", 5, "p@x")
    shown = composing.outgoing(
        desk.mail,
        form_of(to="a@b.example", rich="1", html=f'<p><img src="{picture.picture_url}"></p>'),
        [picture],
        complete=True,
    )
    assert shown is not None
    assert 'src="cid:p@x"' in (shown.html or "")
    assert [part.cid for part in shown.attachments] == ["p@x"]
    gone = composing.outgoing(desk.mail, form_of(to="a@b.example", rich="1", html="<p>x</p>"), [picture], complete=True)
    assert gone is not None
    assert gone.attachments == ()


def test_what_the_editor_posts_is_cleaned_and_has_a_text_beside_it(desk: Desk) -> None:
    html = (
        '<p onclick="x()">Hi <b>there</b></p><script>x</script><blockquote type="cite" style="margin: 0">q</blockquote>'
    )
    message = composing.outgoing(desk.mail, form_of(to="a@b.example", rich="1", html=html), [], complete=True)
    assert message is not None
    assert "onclick" not in (message.html or "")
    assert "script" not in (message.html or "")
    assert 'style="margin' in (message.html or "")
    assert message.text == "Hi there\n\n> q"


def test_the_text_of_an_answer_quotes_what_the_editor_quotes(desk: Desk) -> None:
    start = composing.answer(desk.mail, html_email("<h1>Oak</h1><p>One</p><blockquote>older</blockquote>"), "reply")
    html = start.initial["html"].replace("<div><br></div>", "<div>Yes.</div>", 1).replace("data-dm-style", "style")
    message = composing.outgoing(desk.mail, form_of(to="a@b.example", rich="1", html=html), [], complete=True)
    assert message is not None
    own, attribution, *quoted = message.text.splitlines()
    assert own == "Yes."
    assert attribution.endswith("wrote:")
    assert quoted == ["> Oak", ">", "> One", ">", ">> older"]


def test_a_token_is_ours_and_of_this_mailbox(desk: Desk) -> None:
    file = Attached("G1", "a.txt", "text/plain", 3)
    token = file.token(desk.mail)
    assert Attached.read(desk.mail, token) == file
    with pytest.raises(forms.ValidationError):
        Attached.read(desk.mail, token[:-2] + "xx")
    other = SimpleNamespace(mailbox=SimpleNamespace(pk=uuid4()))
    with pytest.raises(forms.ValidationError):
        Attached.read(other, token)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc@acme.test", True),
        ("<abc@acme.test>", True),
        ("abc@other.test", False),
        ("@acme.test", False),
        ("", False),
        ("ä@acme.test", False),
        ("x" * 300 + "@acme.test", False),
    ],
)
def test_a_message_id_is_of_our_own_domain(desk: Desk, given: str, kept: bool) -> None:
    message = composing.outgoing(desk.mail, form_of(to="a@b.example", message_id=given[:300]), [], complete=True)
    assert message is not None
    assert (message.message_id == given.strip("<>")) is kept
    assert message.message_id.endswith("@acme.test")


def test_a_resumed_draft_keeps_its_id_recipients_and_thread(desk: Desk) -> None:
    draft = text_email(
        "so far", messageId=["d1@acme.test"], bcc=[MEI], inReplyTo=["q@x.example"],
        references=["r@x.example", "q@x.example"],
    )  # fmt: skip
    start = composing.resume(desk.mail, draft).initial
    assert (start["message_id"], start["draft_id"]) == ("d1@acme.test", "M1")
    assert start["bcc"] == "Mei Tanaka <mei@north.example>"
    assert (start["in_reply_to"], start["references"]) == ("q@x.example", "r@x.example q@x.example")


def test_names_with_commas_are_quoted(desk: Desk) -> None:
    start = composing.answer(
        desk.mail, text_email("x", from_=[{"name": 'Weber, "Joe"', "email": "j@x.example"}]), "reply"
    )
    assert start.initial["to"] == '"Weber, \\"Joe\\"" <j@x.example>'
    message = composing.outgoing(desk.mail, form_of(to=start.initial["to"]), [], complete=True)
    assert message is not None
    assert [(to.name, to.email) for to in message.to] == [('Weber, "Joe"', "j@x.example")]


def test_sending_marks_what_it_answers_also_from_a_resumed_draft(desk: Desk) -> None:
    original = desk.fake.add_email(subject="q", from_=[MEI], messageId=["q@x.example"])
    assert post(desk, in_reply_to="q@x.example", resumed="1").status_code == 200
    assert "$answered" in desk.fake.emails[original]["keywords"]
    assert len(desk.fake.outbox) == 1


@pytest.mark.parametrize(
    ("refusal", "says"),
    [
        ({"type": "smtpProtocolError", "description": "4.7.1 You sent 100 of 100"}, "You sent 100 of 100."),
        ({"type": "smtpProtocolError", "description": "2.1.5 Ok"}, "one of the recipients"),
        ({"type": "tooManyRecipients"}, "more recipients"),
        ({"type": "tooLarge"}, "25 MB"),
        ({"type": "forbiddenToSend"}, "Sending does not work"),
        ({"type": "serverFail"}, "Sending does not work"),
    ],
)  # fmt: skip
def test_a_refusal_keeps_the_draft_and_says_why(desk: Desk, refusal: dict[str, str], says: str) -> None:
    desk.fake.refuse_submission = refusal
    answer = post(desk, text="Precious")
    page = answer.content.decode()
    assert answer.status_code == 422
    assert says in page
    assert "Precious" in page
    (draft,) = [id_ for id_, mail in desk.fake.emails.items() if desk.fake.role("drafts") in mail["mailboxIds"]]
    assert f'name="draft_id" value="{draft}"' in page


def test_an_answer_that_is_lost_may_be_sent_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: Any, **_kwargs: Any) -> Any:
        raise SendUnknown("lost", draft_id="M9")

    monkeypatch.setattr(type(desk.mail.account), "send", unknown)
    page = post(desk, message_id="same@acme.test").content.decode()
    assert "Send again" in page
    assert 'value="same@acme.test"' in page


@pytest.mark.parametrize("headers", [{"HX-Request": "true"}, {}], ids=["script", "plain"])
def test_who_was_refused_among_others_is_told_where_it_says_sent(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    refused = {"nobody@acme.test": "Mailbox does not exist.", "odd@acme.test": ""}
    monkeypatch.setattr(type(desk.mail.account), "send", lambda *_a, **_k: Sent("M1", "T1", "1@x", refused=refused))
    fields = {"to": "mei@north.example", "subject": "s", "text": "t", "do": "send"}
    request = desk.request("post", "/mail/compose", fields, **headers)
    answer = desk.call(compose.compose, request)
    assert answer.status_code == (200 if headers else 303)
    [said] = messages.get_messages(request)
    assert "Sent, but not to nobody@acme.test (Mailbox does not exist); odd@acme.test:" in said.message
    assert said.level == messages.ERROR, "it stays until it is read"


@pytest.mark.parametrize("do", ["", "discard"])
def test_what_does_not_say_send_is_not_sent(desk: Desk, do: str) -> None:
    with pytest.raises(BadRequest):
        post(desk, do=do)
    assert not desk.fake.emails


def test_nothing_of_a_refusal_without_words_is_left_unsaid() -> None:
    said = compose.refused(SendRefused("recipients", temporary=True))
    assert said.strip().endswith(".")


def test_undo_restores_each_message_to_its_own_places_and_marks(desk: Desk) -> None:
    inbox, archive = desk.fake.role("inbox"), desk.fake.role("archive")
    one = desk.fake.add_email(keywords={"$seen": True})
    two = desk.fake.add_email()
    desk.fake.emails[two]["mailboxIds"] = {inbox: True, archive: True}
    before = desk.mail.account.states([one, two])
    step = undo.back_to(before, [one, two], moved=True, touched=("$seen", "$junk"))
    desk.mail.account.junk([one, two])
    desk.mail.account.mark_read([one, two])
    assert undo.run(desk.mail.account, step)
    assert desk.fake.emails[one]["mailboxIds"] == {inbox: True}
    assert desk.fake.emails[two]["mailboxIds"] == {inbox: True, archive: True}
    assert desk.fake.emails[one]["keywords"] == {"$seen": True}
    assert desk.fake.emails[two]["keywords"] == {}


def test_without_redis_mail_still_leaves() -> None:
    with sendonce.alone("x@acme.test"):
        pass


class TestALimit:
    """What the door would say is said at the button, and what was written is kept."""

    def limited(self, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[tuple[str, list[str]]]:
        asked: list[tuple[str, list[str]]] = []
        values: dict[str, Any] = {
            "code": Code.LATER,
            "reason": "limit-mailbox_day",
            "sentence": "Limit reached.",
            "limit": "mailbox_day",
            "used": 50,
            "maximum": 50,
            "frees_at": datetime(2030, 1, 2, 3, 4, tzinfo=UTC),
        }

        def peek(address: str, recipients: list[str]) -> Decision:
            asked.append((address, recipients))
            return Decision(**(values | changes))

        monkeypatch.setattr(counters, "peek", peek)
        return asked

    def test_stops_at_the_button_and_keeps_the_draft(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = self.limited(monkeypatch)
        answer = post(desk, to="Mei <Mei@North.Example>", cc="bo@north.example")
        page = answer.content.decode()
        assert answer.status_code == 422
        assert (
            "Not sent: 50 of 50 recipients in 24 hours for this mailbox are used. Room again at 2 Jan, 03:04." in page
        )
        assert "kept in Drafts" in page
        assert "Ask an administrator of your company." in page
        assert reverse("sending:door") not in page
        assert asked[0] == ("anna@acme.test", ["mei@north.example", "bo@north.example"])
        drafts = [each for each in desk.fake.emails.values() if "$draft" in each["keywords"]]
        assert len(drafts) == 1
        assert f'name="draft_id" value="{drafts[0]["id"]}"' in page

    def test_too_many_at_once_says_that_waiting_does_not_help(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.limited(monkeypatch, code=Code.REFUSE, frees_at=None, maximum=50)
        assert "The limit is 50 recipients in 24 hours for this mailbox: send to fewer at once." in (
            post(desk).content.decode()
        )

    def test_a_block_says_what_the_door_says(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        self.limited(
            monkeypatch,
            reason="blocked-mailbox",
            limit="",
            sentence="Sending from anna@acme.test is stopped",
            help_url="https://mail.test/sending",
        )
        page = post(desk).content.decode()
        assert "Not sent: Sending from anna@acme.test is stopped. Your message is kept in Drafts." in page
        assert "mail.test" not in page
        monkeypatch.setattr(desk.mail.actor, "can", lambda _action: True)
        assert f'href="{reverse("sending:meter")}"' in post(desk).content.decode()

    def test_what_cannot_be_asked_is_left_to_the_door(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        self.limited(monkeypatch, reason="unavailable", limit="")
        assert post(desk).status_code == 200

    def test_a_composer_that_opens_on_a_block_says_so(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        self.limited(monkeypatch, reason="blocked-mailbox", limit="", sentence="Sending is stopped until 14:00")
        request = desk.request("get", "/mail/compose", **{"HX-Request": "true"})
        page = desk.call(compose.compose, request).content.decode()
        assert "Sending is stopped until 14:00." in page

    def test_the_foot_shows_the_day_and_speaks_up_at_80_per_cent(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        frees = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)
        for hour, words, silent in ((5, "20 of 50", "left, more from"), (43, "43 of 50", "20 of 50")):
            found = [Meter("mailbox_day", 20, 50, frees), Meter("mailbox_hour", hour, 50, frees)]
            monkeypatch.setattr(counters, "usage_of_mailbox", lambda _mailbox, found=found: found)
            page = desk.call(folders.folder_list, desk.request("get", "/mail/folders")).content.decode()
            assert words in page
            assert silent not in page

    def test_a_meter_that_cannot_be_read_is_left_out(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(_mailbox: Any) -> Any:
            raise counters.CountersAway

        monkeypatch.setattr(counters, "usage_of_mailbox", away)
        page = desk.call(folders.folder_list, desk.request("get", "/mail/folders"))
        assert page.status_code == 200
        assert "Sent in" not in page.content.decode()
