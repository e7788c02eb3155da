"""Writing on the real servers: whom an answer goes to, what it carries, that it leaves once, what a refusal keeps."""

from __future__ import annotations

import email
import email.policy
import functools
import re
import socket
import threading
import time
from collections.abc import Callable
from email.message import EmailMessage
from html import unescape
from typing import Any

import pytest
from django.test import Client

from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.models import MailUser
from deftmail.stack.testing import running_stack
from deftmail.webmail.tests.conftest import PATIENCE, Box, Office, letter

pytestmark = pytest.mark.servers

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d494844520000000100000001080600000"
    "01f15c4890000000d49444154789c6360f8cf500f0003860180a0a1d1b60000000049454e44ae426082"
)


def until(look: Callable[[], Any], seconds: float = 20) -> Any:
    """Ask until there is something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "nothing came in time"
        time.sleep(0.2)
    return found


def parsed(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, _class=EmailMessage, policy=email.policy.default)


class Composer:
    """The form as a browser without JavaScript holds it."""

    def __init__(self, box: Box, query: str = "") -> None:
        self.client: Client = box.client
        page = self.client.get("/mail/compose" + query).content.decode()
        self.read(page)

    def read(self, page: str) -> None:
        """Take the fields from a page."""
        form = page[page.index('class="composer-form"') :]
        self.fields: dict[str, Any] = {"attached": []}
        for tag in re.findall(r"<input[^>]*>", form):
            found = re.search(r'name="([^"]+)"', tag)
            value = re.search(r'value="([^"]*)"', tag)
            if not found or 'type="file"' in tag or " disabled" in tag:
                continue
            if found[1] == "attached":
                self.fields["attached"].append(unescape(value[1] if value else ""))
            else:
                self.fields[found[1]] = unescape(value[1] if value else "")
        for name in ("to", "cc", "bcc", "text", "html"):
            area = re.search(rf'<textarea[^>]* name="{name}"[^>]*>(.*?)</textarea>', form, re.DOTALL)
            assert area
            self.fields[name] = unescape(area[1]).removeprefix("\n")
        self.errors = [
            unescape(text)
            for text in re.findall(
                r'class="field-error"[^>]*>([^<]+)|data-composer-error.*?<span>([^<]+)', page, re.DOTALL
            )
            for text in text
            if text
        ]

    def send(self, do: str = "send", **fields: Any) -> Any:
        """Press Send; what comes back."""
        answer = self.client.post("/mail/compose", {**self.fields, **fields, "do": do})
        if answer.status_code == 422:
            self.read(answer.content.decode())
        return answer

    def save(self, **fields: Any) -> Any:
        """What the script saves while one writes."""
        answer = self.client.post("/mail/compose/draft", {**self.fields, **fields}).json()
        self.fields |= {"draft_id": answer["draft_id"], "message_id": answer["message_id"]}
        return answer


def open_ids(box: Box, subject: str) -> str:
    """The id of the newest message of that subject. The engine's index is a moment behind what arrives."""
    until = time.monotonic() + PATIENCE
    while True:
        page = box.client.get("/mail/search", {"q": f'subject:"{subject}" in:anywhere'}).content.decode()
        if row := re.search(r'name="ids" value="([^"]+)"', page):
            return row[1].rpartition(",")[2]
        assert time.monotonic() < until, subject
        time.sleep(0.3)


@pytest.fixture
def anna(office: Office) -> Box:
    office.anna.clear()
    office.bert.clear()
    return office.anna


@pytest.fixture
def bert(office: Office) -> Box:
    return office.bert


def test_a_reply_goes_to_reply_to_in_its_thread_and_marks_the_original(anna: Box, bert: Box) -> None:
    anna.put(
        letter("Question", Reply_To=bert.address, References="<root@northwind.example>", Message_ID="<q@n.example>")
    )
    composer = Composer(anna, f"?reply={open_ids(anna, 'Question')}")
    assert composer.fields["to"] == bert.address
    assert composer.fields["subject"] == "Re: Question"
    assert "> Hello." in composer.fields["text"]
    assert composer.send(text="Yes." + composer.fields["text"]).status_code == 303
    got = parsed(until(lambda: bert.folder("INBOX"))[0][1])
    assert got["In-Reply-To"] == "<q@n.example>"
    assert got["References"] == "<root@northwind.example> <q@n.example>"
    assert got["Message-ID"].endswith(f"@{anna.address.partition('@')[2]}>")
    assert "DKIM-Signature" in got
    assert anna.subjects("Sent") == ["Re: Question"]
    assert b"\\Answered" in anna.folder("INBOX")[0][0]


def test_a_draft_of_an_answer_goes_on_later_and_still_answers(anna: Box, bert: Box) -> None:
    anna.put(letter("Later", From=bert.address, Message_ID="<later@n.example>"))
    composer = Composer(anna, f"?reply={open_ids(anna, 'Later')}")
    composer.save(text="First")
    composer.save(text="Second")
    assert anna.subjects("Drafts") == ["Re: Later"]
    draft = composer.fields["draft_id"]
    again = Composer(anna, f"?draft={draft}")
    assert again.fields["text"].strip() == "Second"
    assert again.fields["in_reply_to"] == "later@n.example"
    assert again.fields["answers"] == ""
    assert again.fields["message_id"] == composer.fields["message_id"]
    assert again.send().status_code == 303
    got = parsed(until(lambda: bert.folder("INBOX"))[0][1])
    assert (got["In-Reply-To"], got["References"]) == ("<later@n.example>", "<later@n.example>")
    assert anna.subjects("Drafts") == []
    assert b"\\Answered" in anna.folder("INBOX")[0][0]


def test_an_answer_to_ones_own_message_goes_to_its_recipients(anna: Box) -> None:
    anna.put(letter("Mine", From=anna.address, To="x@north.example", Cc="y@north.example"), "Sent", "\\Seen")
    own = open_ids(anna, "Mine")
    assert Composer(anna, f"?reply={own}").fields["to"] == "x@north.example"
    everybody = Composer(anna, f"?all={own}").fields
    assert (everybody["to"], everybody["cc"]) == ("x@north.example", "y@north.example")


def test_an_answer_to_all_leaves_oneself_out_and_names_nobody_twice(anna: Box) -> None:
    anna.put(
        letter("Round", To=f'"Keller, Anna" <{anna.address}>, x@n.example', Cc="mei@northwind.example, z@n.example")
    )
    fields = Composer(anna, f"?all={open_ids(anna, 'Round')}").fields
    assert fields["to"] == "Mei Tanaka <mei@northwind.example>"
    assert fields["cc"] == "x@n.example, z@n.example"


def test_an_answer_to_a_list_goes_to_the_list(anna: Box) -> None:
    anna.put(letter("Listed", List_Id="<talk.n.example>", List_Post="<mailto:talk@n.example?subject=x>"))
    id_ = open_ids(anna, "Listed")
    assert Composer(anna, f"?list={id_}").fields["to"] == "talk@n.example"
    assert Composer(anna, f"?reply={id_}").fields["to"] == "Mei Tanaka <mei@northwind.example>"


def test_a_forward_keeps_files_and_pictures(anna: Box, bert: Box) -> None:
    original = letter("Plans", html='<p>See <img src="cid:plan@n"></p>')
    original.get_payload()[1].add_related(PNG, "image", "png", cid="<plan@n>", filename="plan.png")  # type: ignore[union-attr,index]
    original.add_attachment(b"a,b\n1,2\n", maintype="text", subtype="csv", filename="Übersicht.csv")
    anna.put(original)
    composer = Composer(anna, f"?forward={open_ids(anna, 'Plans')}")
    assert composer.fields["subject"] == "Fwd: Plans"
    assert len(composer.fields["attached"]) == 2
    assert composer.send(to=bert.address, rich="1", text="").status_code == 303
    got = parsed(until(lambda: bert.folder("INBOX"))[0][1])
    files = {part.get_filename(): part for part in got.walk() if part.get_filename()}
    assert files["Übersicht.csv"].get_content() == "a,b\n1,2\n"
    assert files["plan.png"].get_payload(decode=True) == PNG
    body = got.get_body(("html",))
    assert body is not None
    cid = files["plan.png"]["Content-ID"].strip("<>")
    assert f"cid:{cid}" in body.get_content()
    assert "/mail/picture/" not in body.get_content()
    assert any(b"$forwarded" in head.lower() for head, _raw in anna.folder("INBOX"))


PAGE = """<p>See <img src="cid:plan@n"> and <a href="cid:contract@n">the contract</a> <img src="cid:plan@n0"></p>"""


@pytest.mark.parametrize("way", ["at once", "saved before"])
def test_what_is_forwarded_arrives_whole_whatever_it_is_called_by(anna: Box, bert: Box, way: str) -> None:
    """Programs name every file by a Content-ID, and HTML names by it what nothing can show."""
    original = letter("Signed", html=PAGE, Message_ID="<signed@n.example>")
    related = original.get_payload()[1]  # type: ignore[index]
    for cid, kind, name in (
        ("plan@n", "image/png", "plan.png"),
        ("contract@n", "application/pdf", "contract.pdf"),
        ("drawing@n", "image/svg+xml", "drawing.svg"),
        ("unused@n", "image/png", "unused.png"),
    ):
        related.add_related(PNG, *kind.split("/"), cid=f"<{cid}>", filename=name)  # type: ignore[union-attr]
    original.add_attachment(PNG, maintype="application", subtype="pdf", filename="annex.pdf", cid="<annex@n>")
    anna.put(original)
    row = re.search(r'href="(/mail/f/inbox/t/[^"]+)', anna.client.get("/mail/f/inbox").content.decode())
    assert row
    page = anna.client.get(row[1]).content.decode()
    for name in ("contract.pdf", "drawing.svg", "unused.png", "annex.pdf"):
        assert f"/{name}?" in page, "what the body does not show is offered"
    composer = Composer(anna, f"?forward={open_ids(anna, 'Signed')}")
    if way == "saved before":
        composer.save(rich="1", to=bert.address, text="")
        composer = Composer(anna, f"?draft={composer.fields['draft_id']}")
    assert composer.send(to=bert.address, rich="1", text="").status_code == 303
    got = parsed(until(lambda: bert.folder("INBOX"))[0][1])
    files = {part.get_filename(): part for part in got.walk() if part.get_filename()}
    assert set(files) == {"plan.png", "contract.pdf", "drawing.svg", "unused.png", "annex.pdf"}
    assert files["plan.png"].get_content_disposition() == "inline"
    assert files["annex.pdf"].get_content_disposition() == "attachment"
    assert all(part.get_payload(decode=True) == PNG for part in files.values())
    assert any(b"$forwarded" in head.lower() for head, _raw in anna.folder("INBOX"))


def test_bcc_reaches_its_recipient_and_nobody_learns_of_it(anna: Box, bert: Box, office: Office) -> None:
    office.clara.clear()
    composer = Composer(anna)
    answer = composer.send(to=bert.address, bcc=office.clara.address, subject="Quietly", text="Psst")
    assert answer.status_code == 303
    for box in (bert, office.clara):
        raw = until(functools.partial(box.folder, "INBOX", 'SUBJECT "Quietly"'))[0][1]
        # By header: the three letters also turn up in the base64 of a signature.
        assert parsed(raw)["Bcc"] is None
        assert office.clara.address.encode() not in parsed(raw)["To"].encode()
    sent = parsed(anna.folder("Sent")[0][1])
    assert office.clara.address in sent["Bcc"]


def test_a_double_click_sends_once(anna: Box, bert: Box) -> None:
    composer = Composer(anna)
    fields = {**composer.fields, "to": bert.address, "subject": "Once", "text": "1", "do": "send"}
    answers: list[int] = []

    def click() -> None:
        from django.db import connections

        client = Client()
        client.cookies["dm_session"] = anna.session
        answers.append(client.post("/mail/compose", fields).status_code)
        connections.close_all()

    clicks = [threading.Thread(target=click) for _ in range(4)]
    for thread in clicks:
        thread.start()
    for thread in clicks:
        thread.join()
    assert answers == [303] * 4
    until(lambda: bert.folder("INBOX"))
    time.sleep(1)
    assert bert.subjects("INBOX") == ["Once"]
    assert anna.subjects("Sent") == ["Once"]


def test_what_is_refused_stays_written_and_in_drafts_with_the_reason_beside_send(anna: Box, office: Office) -> None:
    with tenant_tx(office.tenant.pk):
        MailUser.objects.filter(pk=anna.row.pk).update(status="suspended", status_reason="too many complaints")
    try:
        page = anna.client.get("/mail/f/inbox")
        assert page.status_code == 200
        composer = Composer(anna)
        assert composer.send(to="x@outside.example", subject="Stopped", text="Long letter").status_code == 422
        assert any("suspended (too many complaints)" in text for text in composer.errors), composer.errors
        assert composer.fields["text"].strip() == "Long letter"
        assert anna.subjects("Drafts") == ["Stopped"]
        assert composer.fields["draft_id"]
        # Two recipients: the sentence must not get lost behind the second.
        assert composer.send(to="x@outside.example, y@outside.example").status_code == 422
        assert any("suspended" in text for text in composer.errors), composer.errors
        assert anna.subjects("Drafts") == ["Stopped"]
    finally:
        with tenant_tx(office.tenant.pk):
            MailUser.objects.filter(pk=anna.row.pk).update(status="active", status_reason="")
    until(lambda: composer.send(to="later@outside.example").status_code == 303, 15)
    assert running_stack().wait_caught("later@outside.example")["Subject"] == "Stopped"
    assert anna.subjects("Drafts") == []


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"to": ""}, "Say whom it goes to"),
        ({"to": "no address"}, "no address"),
        ({"to": "a@b.example\nBcc: c@d.example"}, "is not an address"),
        ({"to": "a@b.example", "cc": "@"}, "is not an address"),
    ],
)
def test_addresses_that_are_none_are_named_on_their_field(anna: Box, fields: dict[str, str], says: str) -> None:
    composer = Composer(anna)
    assert composer.send(subject="Kept", text="Kept text", **fields).status_code == 422
    assert any(says in text for text in composer.errors), composer.errors
    assert composer.fields["text"].strip() == "Kept text"


def test_files_go_up_are_bounded_and_come_down(anna: Box) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    composer = Composer(anna)
    file = SimpleUploadedFile('../../e"vil\r\n.txt', b"content", "text/html")
    line = anna.client.post("/mail/compose/upload", {"file": file}).content.decode()
    token = re.search(r'name="attached" value="([^"]+)"', line)
    assert token
    big = SimpleUploadedFile("big.bin", bytes(25 * 1024 * 1024), "application/octet-stream")
    refused = anna.client.post("/mail/compose/upload", {"file": big, "attached": [unescape(token[1])]})
    assert refused.status_code == 413
    forged = anna.client.post("/mail/compose/upload", {"file": file, "attached": ["forged"]})
    assert forged.status_code == 422
    composer.save(subject="With file", attached=[unescape(token[1])])
    composer = Composer(anna, f"?draft={composer.fields['draft_id']}")
    assert len(composer.fields["attached"]) == 1
    assert composer.send(to=anna.address, subject="With file", text="x").status_code == 303
    until(lambda: anna.subjects("INBOX"))
    page = anna.client.get("/mail/f/inbox").content.decode()
    thread = re.search(r'href="(/mail/f/inbox/t/[^"]+)"', page)
    assert thread
    link = re.search(r'class="file" href="([^"]+)"', anna.client.get(thread[1]).content.decode())
    assert link
    down = anna.client.get(unescape(link[1]))
    assert b"".join(down.streaming_content) == b"content"  # type: ignore[attr-defined]
    assert down.headers["Content-Disposition"].startswith("attachment;")
    assert down.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in down.headers["Content-Security-Policy"]


def test_a_discarded_draft_lies_in_trash(anna: Box) -> None:
    composer = Composer(anna)
    composer.save(subject="Away", text="x")
    anna.client.post("/mail/compose/discard", {"draft_id": composer.fields["draft_id"], "next": "/mail/f/drafts"})
    assert anna.subjects("Drafts") == []
    assert anna.subjects("Trash") == ["Away"]


def test_saving_without_scripts_keeps_the_draft_and_half_an_address_does_no_harm(anna: Box) -> None:
    composer = Composer(anna)
    assert composer.send(do="save", to="bert@x.example, half", subject="Half", text="x").status_code == 303
    assert parsed(anna.folder("Drafts")[0][1])["To"] == "bert@x.example"


@pytest.mark.parametrize(
    "typed",
    [
        '"Weber, Jonas" <jw@outside.example>, half',
        '"Weber, Jonas" <jw@outside.example>, "Müller, A" <am@outside.example>, boss',
        "Team: a@x.example, b@x.example;",
        '"Never closed, a@x.example',
        "a@x.example, " * 300 + "half",
    ],
)
def test_a_draft_keeps_recipients_that_are_no_addresses_yet(anna: Box, bert: Box, typed: str) -> None:
    composer = Composer(anna)
    composer.save(to=typed, cc="carl@x.example", bcc="ük", subject="Half", text="x")
    again = Composer(anna, f"?draft={composer.fields['draft_id']}")
    assert (again.fields["to"], again.fields["cc"], again.fields["bcc"]) == (typed, "carl@x.example", "ük")
    assert again.send(to=bert.address, cc="", bcc="").status_code == 303
    until(lambda: bert.subjects("INBOX"))
    for message in (bert.folder("INBOX")[0][1], anna.folder("Sent")[0][1]):
        assert b"DeftMail-Typed" not in message
    assert anna.subjects("Drafts") == []


def test_the_readable_recipients_of_a_draft_are_seen_by_other_programs(anna: Box) -> None:
    composer = Composer(anna)
    composer.save(to='"Weber, Jonas" <jw@outside.example>, half', subject="Half", text="x")
    assert parsed(anna.folder("Drafts")[0][1])["To"] == '"Weber, Jonas" <jw@outside.example>'
    composer.save(to="jw@outside.example", subject="Half", text="x")
    assert b"DeftMail-Typed" not in anna.folder("Drafts")[0][1]


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(site: str, anna: Box) -> None:
    host, _colon, port = site.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as link:
        head = (
            "POST /mail/compose/upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            f"Cookie: dm_session={anna.session}\r\nContent-Length: {100 * 1024 * 1024}\r\n\r\n--b"
        )
        link.sendall(head.encode())
        assert link.recv(100).startswith(b"HTTP/1.1 413")
