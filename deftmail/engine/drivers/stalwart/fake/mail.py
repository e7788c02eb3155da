"""One account's mail on the fake: the JMAP client's own fake, with Stalwart's folders, identities and submissions."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

from deftmail.engine.drivers.stalwart.fake.ids import encode
from deftmail.engine.drivers.stalwart.fake.patches import MethodRefused
from deftmail.jmap.testing import FakeJmap

if TYPE_CHECKING:
    from deftmail.engine.drivers.stalwart.fake.server import FakeStalwart

Object = dict[str, Any]
Answer = list[tuple[str, Object]]
FOLDERS = (
    ("Inbox", "inbox"),
    ("Deleted Items", "trash"),
    ("Junk Mail", "junk"),
    ("Drafts", "drafts"),
    ("Sent Items", "sent"),
)
RIGHTS = "mayReadItems mayAddItems mayRemoveItems maySetSeen maySetKeywords mayCreateChild mayRename maySubmit mayDelete mayShare"  # noqa: E501
COUNTS = ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")
_RULE = re.compile(r'if header :contains "([^"]+)" "([^"]+)" \{\s*fileinto "([^"]+)";')


class Refusal(Exception):
    """A reply of SMTP other than success. code: 4xx or 5xx; stage: MAIL-FROM, RCPT, DATA or AUTH"""

    def __init__(self, code: int, text: str, stage: str = "DATA") -> None:
        super().__init__(text)
        self.code = code
        self.stage = stage


def now(after: float = 0) -> str:
    """The time as JMAP writes it, `after` seconds from now."""
    return (datetime.now(UTC) + timedelta(seconds=after)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _delivery(refused: Refusal | None) -> Object:
    if refused is not None:
        return {"delivered": "no", "smtpReply": f"{refused.code} {refused}", "displayed": "unknown"}
    return {"delivered": "queued", "smtpReply": "250 2.1.5 Queued", "displayed": "unknown"}


class StalwartMailbox(FakeJmap):
    """Mail of one account. Methods are called by `call`, with references resolved already."""

    def __init__(self, server: FakeStalwart, account_id: str, address: str) -> None:
        self.server = server
        self._serials: dict[str, int] = {}
        super().__init__("stalwart", username=address)
        self.account_id = account_id
        self.blobs = server.blobs
        self.submissions: dict[str, Object] = {}
        self.held: set[str] = set()  # submissions that are in the queue still
        wanted = server.registry.applied_folders
        for name, role in FOLDERS[1:]:
            self.add_mailbox(wanted.get(role, {}).get("name", name), role)
        for role in wanted:
            if role not in dict(map(reversed, FOLDERS)):  # type: ignore[arg-type]  # pairs, read the other way
                self.add_mailbox(wanted[role]["name"], role)

    def call(self, name: str, arguments: Object, created: dict[str, str]) -> Answer | None:
        """The answers of one method, None where there is no such method here."""
        method: Callable[[Object, dict[str, str]], Answer] | None
        method = getattr(self, "_" + name.replace("/", "_").lower(), None)
        return None if method is None else method(arguments, created)

    def _new(self, prefix: str) -> str:
        if prefix == "G":
            return self.server.new_blob_id()
        start = {"mb": 0, "T": 1, "s": 1, "S": 1, "M": 1}[prefix]
        number = self._serials[prefix] = self._serials.get(prefix, start - 1) + 1
        return f"eaaaa{encode(number).rjust(2, 'a')}" if prefix == "M" else encode(number)

    def _set_answer(self, name: str, **members: Any) -> Answer:
        [(_, answer)] = super()._set_answer(name, **members)
        return [(name, answer if name == "EmailSubmission/set" else {"oldState": "n", **answer})]

    # folders and identities

    def add_mailbox(self, name: str, role: str | None = None, parent: str | None = None) -> str:
        id_ = super().add_mailbox(name, role, parent)
        self.mailboxes[id_] |= {
            "isSubscribed": False,
            "myRights": dict.fromkeys(RIGHTS.split(), True),
            **dict.fromkeys(COUNTS, 0),
        }
        return id_

    def _mailbox_get(self, arguments: Object, created: dict[str, str]) -> Answer:
        for id_, folder in self.mailboxes.items():
            here = [email for email in self.emails.values() if id_ in email["mailboxIds"]]
            unread = [email for email in here if "$seen" not in email["keywords"]]
            for name, emails in (("total", here), ("unread", unread)):
                folder[f"{name}Emails"] = len(emails)
                folder[f"{name}Threads"] = len({email["threadId"] for email in emails})
        return super()._mailbox_get(arguments, created)

    def _identity_get(self, arguments: Object, _: dict[str, str]) -> Answer:
        account = self.server.registry.objects["Account"][self.account_id]
        addresses = self.server.registry.every_address(account)
        identities = {
            id_: {
                "id": id_,
                "name": account.get("description") or self.username,
                "email": address,
                "replyTo": None,
                "bcc": None,
                "textSignature": "",
                "htmlSignature": "",
                "mayDelete": True,
            }
            for id_, address in ((encode(number), address) for number, address in enumerate(addresses, 1))
        }
        return self._get("Identity/get", identities, arguments)

    def _quota_get(self, arguments: Object, created: dict[str, str]) -> Answer:
        limit = self.limit()
        if not limit:
            return [("Quota/get", {"state": "n", "list": [], "notFound": []})]
        self.quota = (self.used(), limit)
        return super()._quota_get(arguments, created)

    def limit(self) -> int:
        return int(self.server.registry.objects["Account"][self.account_id]["quotas"].get("maxDiskQuota") or 0)

    def used(self) -> int:
        return sum(int(email["size"]) for email in self.emails.values())

    # sending

    def _emailsubmission_get(self, arguments: Object, created: dict[str, str]) -> Answer:
        ids = arguments.get("ids")
        if any(id_[1:] not in created for id_ in ids or () if id_.startswith("#")):
            raise MethodRefused("invalidResultReference")
        found = None if ids is None else [created[id_[1:]] if id_.startswith("#") else id_ for id_ in ids]
        return self._get("EmailSubmission/get", self.submissions, {**arguments, "ids": found})

    def _emailsubmission_query(self, arguments: Object, _: dict[str, str]) -> Answer:
        wanted = arguments["filter"]["emailIds"]
        ids = [id_ for id_, one in reversed(self.submissions.items()) if one["emailId"] in wanted]
        return [("EmailSubmission/query", {"queryState": "n", "position": 0, "ids": ids[: arguments["limit"]]})]

    def _emailsubmission_set(self, arguments: Object, created_ids: dict[str, str]) -> Answer:
        created: Object = {}
        updated: Object = {}
        refused: dict[str, Object] = {"notCreated": {}, "notUpdated": {}}
        for key, new in (arguments.get("create") or {}).items():
            email_id = created_ids.get(new["emailId"].removeprefix("#"), new["emailId"])
            if email_id not in self.emails:
                refused["notCreated"][key] = {"type": "invalidProperties", "properties": ["emailId"]}
                continue
            try:
                created[key] = self._submit(email_id, new)
            except Refusal as error:
                kind = "forbiddenMailFrom" if error.stage == "MAIL-FROM" else "forbiddenToSend"
                told = f"Server rejected {error.stage}: {error.code} {error}"
                refused["notCreated"][key] = {"type": kind, "description": told}
                continue
            created_ids[key] = created[key]["id"]
        for id_, patch in (arguments.get("update") or {}).items():
            if id_ not in self.submissions:
                refused["notUpdated"][id_] = {"type": "notFound"}
            elif patch != {"undoStatus": "canceled"} or id_ not in self.held:
                refused["notUpdated"][id_] = {"type": "cannotUnsend"}
            else:
                self.submissions[id_]["undoStatus"] = "canceled"
                self.held.discard(id_)
                updated[id_] = None
        answers = self._set_answer("EmailSubmission/set", created=created, updated=updated, **refused)
        return answers + self._after(arguments.get("onSuccessUpdateEmail") or {}, created)

    def _submit(self, email_id: str, new: Object) -> Object:
        envelope = new.get("envelope") or {}
        hold = int(((envelope.get("mailFrom") or {}).get("parameters") or {}).get("HOLDFOR", 0))
        recipients = [to["email"] for to in envelope.get("rcptTo", [])]
        outcomes: dict[str, Refusal | None] = dict.fromkeys(recipients)
        if not hold:
            content = self._raw(self.emails[email_id])
            sender = envelope["mailFrom"]["email"]
            outcomes = self.server.queue.session(self.account_id, sender, recipients, content, door="jmap")
        id_ = self._new("S")
        if hold:
            self.held.add(id_)
        self.submissions[id_] = {
            "id": id_,
            "emailId": email_id,
            "identityId": new["identityId"],
            "threadId": self.emails[email_id]["threadId"],
            "envelope": {**envelope, "rcptTo": [{"parameters": None, **to} for to in envelope.get("rcptTo", [])]},
            "sendAt": now(hold),
            "undoStatus": "final" if recipients and all(outcomes.values()) else "pending",
            "deliveryStatus": {to: _delivery(refused) for to, refused in outcomes.items()},
            "dsnBlobIds": [],
            "mdnBlobIds": [],
        }
        return {name: self.submissions[id_][name] for name in ("id", "sendAt", "undoStatus")}

    def _after(self, patches: Object, created: Object) -> Answer:
        updated: Object = {}
        for key, patch in patches.items():
            if key.removeprefix("#") in created:
                email_id = self.submissions[created[key.removeprefix("#")]["id"]]["emailId"]
                if self._patch(email_id, patch) is None:
                    updated[email_id] = None
        return self._set_answer("Email/set", updated=updated) if updated else []

    @staticmethod
    def _raw(email: Object) -> bytes:
        bodies = [body["value"] for body in (email.get("bodyValues") or {}).values()]
        to = ", ".join(address["email"] for address in email.get("to") or [])
        sender = (email.get("from") or [{}])[0].get("email", "")
        id_ = (email.get("messageId") or ["none@fake"])[0]
        head = [f"From: {sender}", f"To: {to}", f"Subject: {email.get('subject') or ''}", f"Message-ID: <{id_}>"]
        return "\r\n".join([*head, "", *bodies, ""]).encode()

    # what arrives

    def deliver(self, content: bytes) -> None:
        """File a message as the active script says. Raises Refusal (4xx) when the account is full."""
        limit = self.limit()
        if limit and self.used() + len(content) > limit:
            raise Refusal(451, "4.3.0 Mailbox over quota.")
        parsed = message_from_bytes(content, policy=policy.default)
        sender = str(parsed["From"] or "")
        found = re.search(r"<([^>]*)>", sender)
        self.add_email(
            mailbox=self._filed(parsed),
            size=len(content),
            subject=str(parsed["Subject"] or ""),
            from_=[{"name": None, "email": found[1] if found else sender}],
            messageId=[str(parsed["Message-ID"] or "").strip("<>")],
            preview="",
            receivedAt=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )

    def _filed(self, parsed: Any) -> str:
        script = next((self.blobs[s["blobId"]].decode() for s in self.scripts.values() if s.get("isActive")), "")
        if 'fileinto :specialuse "\\\\Junk"' in script and str(parsed["X-Spam"]).strip() == "Yes":
            return self.role("junk")
        for header, text, folder in _RULE.findall(script):
            if text.casefold() in str(parsed[header] or "").casefold():
                return next((id_ for id_, box in self.mailboxes.items() if box["name"] == folder), self.role("inbox"))
        return self.role("inbox")

    # scripts

    def _sievescript_set(self, arguments: Object, created: dict[str, str]) -> Answer:
        for objects in (arguments.get("create") or {}, arguments.get("update") or {}):
            for key, new in objects.items():
                if "blobId" in new and not self.server.may_use_blob(new["blobId"], self.account_id):
                    refused = {key: {"type": "blobNotFound", "notFound": [new["blobId"]]}}
                    return self._set_answer("SieveScript/set", notCreated=refused)
                if "blobId" in new and 0 < self.limit() < self.used() + len(self.blobs[new["blobId"]]):
                    # Not seen on a real server, which may count scripts or not.
                    return self._set_answer("SieveScript/set", notCreated={key: {"type": "overQuota"}})
        answers = super()._sievescript_set(arguments, created)
        for made in (answers[0][1].get("created") or {}).values():
            script = self.scripts[made["id"]]
            script["blobId"] = self.server.copy_blob(script["blobId"], self.account_id)
            made |= {"blobId": script["blobId"], "isActive": script["isActive"]}
        return answers
