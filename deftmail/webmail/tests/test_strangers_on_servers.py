"""Nobody reaches another's mail by knowing its ids: neither a colleague nor another company's person. Real servers."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from deftmail.webmail.tests.conftest import Box, Office, letter

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def secrets_of_anna(office: Office) -> dict[str, str]:
    """The addresses of one message of Anna's, with everything in it."""
    anna = office.anna
    anna.clear()
    message = letter("Secret", html='<p>Secret body <img src="cid:p@x"></p>')
    message.get_payload()[1].add_related(b"GIF89a", "image", "gif", cid="<p@x>")  # type: ignore[union-attr,index]
    message.add_attachment(b"secret bytes", maintype="application", subtype="pdf", filename="secret.pdf")
    anna.put(message)
    made = anna.client.post("/mail/folders/new", {"name": "Hidden"})
    page = anna.client.get("/mail/f/inbox").content.decode()
    thread = re.search(r'href="/mail/f/inbox/t/([^"?]+)"', page)
    email_id = re.search(r'name="ids" value="([^"]+)"', page)
    assert thread
    assert email_id
    shown = anna.client.get(f"/mail/f/inbox/t/{thread[1]}").content.decode()
    file = re.search(r'class="file" href="([^"]+)"', shown)
    assert file
    body = anna.client.get(f"/mail/body/{email_id[1]}").content.decode()
    picture = re.search(r'src="(/mail/picture/[^"]+)"', body)
    assert picture
    draft = anna.client.post("/mail/compose/draft", {"text": "secret draft", "subject": "Secret draft"}).json()
    token = re.search(
        r'name="attached" value="([^"]+)"', anna.client.get(f"/mail/compose?forward={email_id[1]}").content.decode()
    )
    assert token
    return {
        "thread": thread[1],
        "email": email_id[1],
        "file": unescape(file[1]),
        "picture": unescape(picture[1]),
        "folder": made.headers["Location"].rpartition("/")[2],
        "draft": draft["draft_id"],
        "token": unescape(token[1]),
    }


@pytest.fixture(params=["colleague", "other company"])
def other(request: pytest.FixtureRequest, office: Office, stranger: Box) -> Box:
    return office.bert if request.param == "colleague" else stranger


READS = [
    "/mail/f/inbox/t/{thread}",
    "/mail/f/{folder}",
    "/mail/f/{folder}/t/{thread}",
    "/mail/search/t/{thread}",
    "/mail/body/{email}",
    "/mail/source/{email}",
    "{file}",
    "{picture}",
    "/mail/compose?reply={email}",
    "/mail/compose?all={email}",
    "/mail/compose?list={email}",
    "/mail/compose?forward={email}",
    "/mail/compose?draft={draft}",
    "/mail/folders/{folder}/rename",
    "/mail/folders/{folder}/delete",
]


@pytest.mark.parametrize("path", READS)
def test_reading_anothers_mail_is_not_found(other: Box, secrets_of_anna: dict[str, str], path: str) -> None:
    answer = other.client.get(path.format(**secrets_of_anna))
    assert answer.status_code == 404
    assert b"ecret" not in getattr(answer, "content", b"")


@pytest.mark.parametrize("path", READS)
def test_the_same_addresses_work_for_their_own_person(
    office: Office, secrets_of_anna: dict[str, str], path: str
) -> None:
    if "/t/" in path and "{folder}" in path:
        pytest.skip("the conversation lies in another folder of hers")
    assert office.anna.client.get(path.format(**secrets_of_anna)).status_code == 200


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/mail/act", {"do": "trash", "ids": "{email}", "folder": "inbox"}),
        ("/mail/act", {"row": "star|{email}"}),
        ("/mail/compose/discard", {"draft_id": "{draft}"}),
        ("/mail/folders/{folder}/rename", {"name": "Taken"}),
        ("/mail/folders/{folder}/delete", {}),
    ],
)
def test_changing_anothers_mail_changes_nothing(
    office: Office, other: Box, secrets_of_anna: dict[str, str], path: str, data: dict[str, Any]
) -> None:
    filled = {name: value.format(**secrets_of_anna) for name, value in data.items()}
    answer = other.client.post(path.format(**secrets_of_anna), filled)
    # Throwing away a draft that is not there is no error: it may have been sent meanwhile.
    assert answer.status_code == 303 if "discard" in path else answer.status_code in (404, 409)
    assert office.anna.subjects("INBOX") == ["Secret"]
    assert office.anna.subjects("INBOX", "FLAGGED") == []
    assert office.anna.subjects("Drafts") == ["Secret draft"]
    assert "Hidden" in office.anna.client.get("/mail/f/inbox").content.decode()


def test_an_attachment_of_another_is_not_sent_along(other: Box, secrets_of_anna: dict[str, str]) -> None:
    token = secrets_of_anna["token"]
    answer = other.client.post("/mail/compose", {"to": other.address, "attached": [token], "do": "send", "text": "x"})
    assert answer.status_code == 422
    assert other.subjects("Sent") == []


def test_a_draft_does_not_replace_anothers(office: Office, other: Box, secrets_of_anna: dict[str, str]) -> None:
    other.client.post("/mail/compose/draft", {"subject": "Mine", "draft_id": secrets_of_anna["draft"], "text": "x"})
    assert office.anna.subjects("Drafts") == ["Secret draft"]
