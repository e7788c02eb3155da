"""A mailbox in memory that answers JMAP the way either engine does: for tests of this room and of those above it.

It keeps to what both engines were recorded to answer (tests/data), including where they differ, and can be told to
refuse or to lose an answer. ``FakeJmap(...).account()`` is a ``MailAccount`` on it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from deftmail.jmap.access import Access
from deftmail.jmap.account import MailAccount
from deftmail.jmap.session import CORE, CYRUS_QUOTA, CYRUS_SIEVE, MAIL, QUOTA, SIEVE, SUBMISSION
from deftmail.jmap.transport import JmapClient

Object = dict[str, Any]
_CREATION_ORDER = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


class _MethodError(Exception):
    def __init__(self, type_: str, **more: Any) -> None:
        super().__init__(type_)
        self.answer = {"type": type_, **more}


class FakeJmap:
    """One account. ``style`` is ``cyrus`` or ``stalwart``."""

    def __init__(
        self, style: str = "cyrus", *, username: str = "alice@acme.test", limits: Object | None = None
    ) -> None:
        self.style = style
        self.username = username
        self.account_id = username if style == "cyrus" else "i"
        self.mailboxes: dict[str, Object] = {}
        self.emails: dict[str, Object] = {}
        self.scripts: dict[str, Object] = {}
        self.blobs: dict[str, bytes] = {}
        self.outbox: list[Object] = []  # envelopes of what left
        self.requests: list[Object] = []  # API requests, in order
        self.refuse_submission: Object | None = None  # a SetError
        self.refuse_create: Object | None = None
        self.lose_answer_to: str | None = None  # a method: what it did stays done, the answer never comes, once
        self.quota: tuple[int, int | None] = (0, 1_073_741_824)  # used, total
        self.limits = {"maxCallsInRequest": 16, "maxObjectsInGet": 500, "maxObjectsInSet": 500} | (limits or {})
        self.session_requests = 0
        self._serial = 0
        self.add_mailbox("Inbox", "inbox")

    # For tests

    def account(self) -> MailAccount:
        access = Access("http://engine/jmap/", {"Authorization": "Bearer t"}, self.username, engine=self.style)
        return MailAccount(access, JmapClient(httpx2.MockTransport(self.handle)))

    def add_mailbox(self, name: str, role: str | None = None, parent: str | None = None) -> str:
        id_ = self._new("mb")
        rights = dict.fromkeys(("mayReadItems", "mayAddItems", "mayRemoveItems", "mayRename", "mayDelete"), True)
        mailbox = {"id": id_, "name": name, "parentId": parent, "role": role, "sortOrder": 0}
        self.mailboxes[id_] = {**mailbox, "isSubscribed": True, "myRights": rights}
        return id_

    def role(self, role: str) -> str:
        return next(id_ for id_, mailbox in self.mailboxes.items() if mailbox["role"] == role)

    def add_email(self, *, mailbox: str | None = None, thread: str | None = None, **members: Any) -> str:
        """A message; ``members`` are those of a JMAP Email (``from`` is written ``from_``)."""
        id_ = self._new("M")
        self.emails[id_] = {
            "id": id_,
            "blobId": self._new("G"),
            "threadId": thread or self._new("T"),
            "mailboxIds": {mailbox or self.role("inbox"): True},
            "keywords": {},
            "receivedAt": (_CREATION_ORDER + timedelta(seconds=self._serial)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "size": 1000,
            "hasAttachment": False,
            **{name.rstrip("_"): value for name, value in members.items()},
        }
        return id_

    def load(self, recording: list[Object]) -> None:
        """Folders and messages of a recorded session."""
        exchanges = {exchange["title"]: exchange for exchange in recording}

        def objects(title: str, method: str) -> list[Object]:
            answers = exchanges[title]["response"]["methodResponses"] if title in exchanges else []
            return [item for name, answer, _ in answers if name == method for item in answer["list"]]

        self.account_id = exchanges["folders"]["request"]["methodCalls"][0][1]["accountId"]
        folders = objects("folders again", "Mailbox/get") or objects("folders", "Mailbox/get")
        self.mailboxes = {folder["id"]: folder for folder in folders}
        for title in ("conversation list of the inbox", "open a conversation"):
            for email in objects(title, "Email/get"):
                self.emails[email["id"]] = self.emails.get(email["id"], {}) | email

    def methods(self) -> list[list[str]]:
        """The method names of each API request."""
        return [[call[0] for call in request["methodCalls"]] for request in self.requests]

    # The engine

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if request.method == "GET" and path == "/jmap/":
            self.session_requests += 1
            return httpx2.Response(200, json=self._session())
        if path.startswith("/jmap/upload/"):
            return self._upload(request)
        if path.startswith("/jmap/download/"):
            data = self.blobs.get(path.split("/")[4])
            return httpx2.Response(404, text="<html>") if data is None else httpx2.Response(200, content=data)
        return self._api(request)

    def _session(self) -> Object:
        special = [CYRUS_QUOTA, CYRUS_SIEVE] if self.style == "cyrus" else [QUOTA, SIEVE]
        capabilities: Object = {CORE: self.limits} | {name: {} for name in (MAIL, SUBMISSION, *special)}
        origin = "" if self.style == "cyrus" else "https://mail.public.example"
        return {
            "username": self.username,
            "apiUrl": f"{origin}/jmap/",
            "downloadUrl": origin + "/jmap/download/{accountId}/{blobId}/{name}?accept={type}",
            "uploadUrl": origin + "/jmap/upload/{accountId}/",
            "state": "0",
            "capabilities": capabilities,
            "accounts": {self.account_id: {"name": self.username, "accountCapabilities": dict(capabilities)}},
            "primaryAccounts": {MAIL: self.account_id},
        }

    def _upload(self, request: httpx2.Request) -> httpx2.Response:
        id_ = self._new("G")
        self.blobs[id_] = request.read()
        answer = {"blobId": id_, "type": request.headers["content-type"], "size": len(self.blobs[id_])}
        return httpx2.Response(201, json=answer)

    def _api(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.read())
        self.requests.append(body)
        responses: list[tuple[str, Object, str]] = []
        created: dict[str, str] = {}
        for name, arguments, call_id in body["methodCalls"]:
            method: Callable[[Object, dict[str, str]], list[tuple[str, Object]]] | None
            method = getattr(self, "_" + name.replace("/", "_").lower(), None)
            try:
                if method is None:
                    raise _MethodError("unknownMethod")
                for answer_name, answer in method(self._resolve(arguments, responses), created):
                    responses.append((answer_name, {"accountId": self.account_id, **answer}, call_id))
            except _MethodError as error:
                responses.append(("error", error.answer, call_id))
        if self.lose_answer_to in {call[0] for call in body["methodCalls"]}:
            self.lose_answer_to = None
            raise httpx2.ReadTimeout("lost")
        return httpx2.Response(200, json={"methodResponses": responses, "sessionState": "0"})

    def _resolve(self, arguments: Object, responses: list[tuple[str, Object, str]]) -> Object:
        """Result references (RFC 8620 §3.7)."""
        found = dict(arguments)
        for key, ref in arguments.items():
            if not key.startswith("#"):
                continue
            value: Any = next((a for n, a, c in responses if c == ref["resultOf"] and n == ref["name"]), None)
            if value is None:
                raise _MethodError("resultReference" if self.style == "cyrus" else "invalidResultReference")
            found[key[1:]] = self._walk(value, ref["path"].split("/")[1:])
            del found[key]
        return found

    def _walk(self, value: Any, path: list[str]) -> Any:
        for place, name in enumerate(path):
            if name == "*":
                items = [self._walk(item, path[place + 1 :]) for item in value]
                return [x for item in items for x in (item if isinstance(item, list) else [item])]
            value = value[name]
        return value

    def _set_answer(self, name: str, **members: Any) -> list[tuple[str, Object]]:
        every = ("created", "updated", "destroyed", "notCreated", "notUpdated", "notDestroyed")
        if self.style == "cyrus":
            return [(name, {"oldState": "1", "newState": "2"} | {key: members.get(key) or None for key in every})]
        return [(name, {"newState": "2"} | {key: members[key] for key in every if members.get(key)})]

    def _get(self, name: str, store: dict[str, Object], arguments: Object) -> list[tuple[str, Object]]:
        ids = arguments.get("ids")
        if ids is not None and len(ids) > self.limits["maxObjectsInGet"]:
            raise _MethodError("requestTooLarge")
        wanted = list(store) if ids is None else list(dict.fromkeys(ids))
        properties = arguments.get("properties")
        found = [
            {k: store[i].get(k) for k in {"id", *properties}} if properties else store[i] for i in wanted if i in store
        ]
        return [(name, {"state": "1", "list": found, "notFound": [i for i in wanted if i not in store]})]

    def _mailbox_get(self, arguments: Object, _: dict[str, str]) -> list[tuple[str, Object]]:
        return self._get("Mailbox/get", self.mailboxes, arguments)

    def _mailbox_set(self, arguments: Object, _: dict[str, str]) -> list[tuple[str, Object]]:
        created: Object = {}
        updated: Object = {}
        not_created: Object = {}
        not_destroyed: Object = {}
        destroyed: list[str] = []
        for key, new in (arguments.get("create") or {}).items():
            taken = next((m["id"] for m in self.mailboxes.values() if m["name"] == new["name"]), None)
            if taken is not None and self.style == "cyrus":
                not_created[key] = {"type": "invalidProperties", "properties": ["name"]}
            elif taken is not None:
                not_created[key] = {"type": "alreadyExists", "existingId": taken}
            else:
                created[key] = {"id": self.add_mailbox(new["name"], new.get("role"), new.get("parentId"))}
        for id_, patch in (arguments.get("update") or {}).items():
            self.mailboxes[id_] |= patch
            updated[id_] = None
        for id_ in arguments.get("destroy") or []:
            if any(id_ in email["mailboxIds"] for email in self.emails.values()):
                not_destroyed[id_] = {"type": "mailboxHasEmail"}
            else:
                del self.mailboxes[id_]
                destroyed.append(id_)
        refused = {"notCreated": not_created, "notDestroyed": not_destroyed}
        return self._set_answer("Mailbox/set", created=created, updated=updated, destroyed=destroyed, **refused)

    def _matches(self, email: Object, condition: Object | None) -> bool:
        if not condition:
            return True
        if "operator" in condition:
            return all(self._matches(email, part) for part in condition["conditions"])
        name, wanted = next(iter(condition.items()))
        rest = {key: value for key, value in condition.items() if key != name}
        text = json.dumps([email.get("subject"), email.get("bodyValues"), email.get("preview")], ensure_ascii=False)
        tests: dict[str, Callable[[], bool]] = {
            "inMailbox": lambda: wanted in email["mailboxIds"],
            "inMailboxOtherThan": lambda: not set(email["mailboxIds"]) <= set(wanted),
            "hasKeyword": lambda: wanted in email["keywords"],
            "notKeyword": lambda: wanted not in email["keywords"],
            "hasAttachment": lambda: email.get("hasAttachment") is wanted,
            "text": lambda: wanted.casefold() in text.casefold(),
            "subject": lambda: wanted.casefold() in str(email.get("subject")).casefold(),
            "from": lambda: wanted.casefold() in json.dumps(email.get("from")).casefold(),
            "header": lambda: any(wanted[1] in id_ for id_ in email.get("messageId") or []),
            "after": lambda: email["receivedAt"] >= wanted,
            "before": lambda: email["receivedAt"] < wanted,
        }
        if name not in tests:
            raise _MethodError("invalidArguments" if self.style == "cyrus" else "unsupportedFilter")
        return tests[name]() and self._matches(email, rest)

    def _email_query(self, arguments: Object, _: dict[str, str]) -> list[tuple[str, Object]]:
        found = [email for email in self.emails.values() if self._matches(email, arguments.get("filter"))]
        found.sort(key=lambda email: email["receivedAt"], reverse=True)
        if arguments.get("collapseThreads"):
            found = list({email["threadId"]: email for email in reversed(found)}.values())[::-1]
            found.sort(key=lambda email: email["receivedAt"], reverse=True)
        ids = [email["id"] for email in found]
        position = arguments.get("position", 0)
        if (anchor := arguments.get("anchor")) is not None:
            if anchor not in ids:
                raise _MethodError("anchorNotFound")
            position = ids.index(anchor) + arguments.get("anchorOffset", 0)
        answer = {"queryState": "1", "position": position, "ids": ids[position : position + arguments["limit"]]}
        if arguments.get("calculateTotal") or self.style == "cyrus":
            answer["total"] = len(ids)
        return [("Email/query", answer)]

    def _email_get(self, arguments: Object, _: dict[str, str]) -> list[tuple[str, Object]]:
        return self._get("Email/get", self.emails, arguments)

    def _thread_get(self, arguments: Object, _: dict[str, str]) -> list[tuple[str, Object]]:
        threads: dict[str, Object] = {}
        for email in sorted(self.emails.values(), key=lambda email: str(email["receivedAt"])):
            thread = threads.setdefault(email["threadId"], {"id": email["threadId"], "emailIds": []})
            thread["emailIds"].append(email["id"])
        return self._get("Thread/get", threads, arguments)

    def _searchsnippet_get(self, arguments: Object, _: dict[str, str]) -> list[tuple[str, Object]]:
        terms = re.findall(r'"text": "([^"]*)"', json.dumps(arguments["filter"], ensure_ascii=False))
        found = []
        for id_ in arguments["emailIds"]:
            bodies = (self.emails[id_].get("bodyValues") or {}).values()
            preview = "".join(body["value"] for body in bodies) or str(self.emails[id_].get("preview") or "")
            for term in terms:
                preview = preview.replace(term, f"<mark>{term}</mark>")
            found.append({"emailId": id_, "subject": None, "preview": preview})
        return [("SearchSnippet/get", {"list": found, "notFound": None})]

    def _email_set(self, arguments: Object, created_ids: dict[str, str]) -> list[tuple[str, Object]]:
        created: Object = {}
        updated: Object = {}
        failed: dict[str, Object] = {"notCreated": {}, "notUpdated": {}, "notDestroyed": {}}
        destroyed = []
        sizes = [len(arguments.get(key) or ()) for key in ("create", "update", "destroy")]
        if sum(sizes) > self.limits["maxObjectsInSet"]:
            raise _MethodError("requestTooLarge")
        for key, new in (arguments.get("create") or {}).items():
            if self.refuse_create or not set(new["mailboxIds"]) <= set(self.mailboxes):
                refusal = self.refuse_create or {"type": "invalidProperties", "properties": ["mailboxIds"]}
                failed["notCreated"][key] = refusal
                continue
            kinds = {"text": "text/plain", "html": "text/html"}  # what compose.as_jmap calls its parts
            values = new.get("bodyValues") or {}
            new |= {f"{part}Body": [{"partId": part, "type": kinds[part]}] for part in kinds if part in values}
            id_ = created_ids[key] = self.add_email(**{**new, "mailbox": next(iter(new["mailboxIds"]))})
            email = self.emails[id_]
            created[key] = {name: email[name] for name in ("id", "blobId", "threadId", "size")}
        for id_, patch in (arguments.get("update") or {}).items():
            error = self._patch(id_, patch)
            if error is None:
                updated[id_] = None
            else:
                failed["notUpdated"][id_] = error
        for id_ in arguments.get("destroy") or []:
            if self.emails.pop(id_, None) is None:
                failed["notDestroyed"][id_] = {"type": "notFound"}
            else:
                destroyed.append(id_)
        return self._set_answer("Email/set", created=created, updated=updated, destroyed=destroyed, **failed)

    def _patch(self, id_: str, patch: Object) -> Object | None:
        email = self.emails.get(id_)
        if email is None:
            return {"type": "notFound"}
        changed = {"mailboxIds": dict(email["mailboxIds"]), "keywords": dict(email["keywords"])}
        for path, value in patch.items():
            member, _, key = path.partition("/")
            if not key:
                changed[member] = value
            elif value is None:
                changed[member].pop(key, None)
            else:
                changed[member][key] = value
        if not changed["mailboxIds"] or not set(changed["mailboxIds"]) <= set(self.mailboxes):
            return {"type": "invalidProperties", "properties": ["mailboxIds"]}
        email.update(changed)
        return None

    def _identity_get(self, arguments: Object, _: dict[str, str]) -> list[tuple[str, Object]]:
        id_ = self.username if self.style == "cyrus" else "b"
        return self._get("Identity/get", {id_: {"id": id_, "name": "", "email": self.username}}, arguments)

    def _emailsubmission_set(self, arguments: Object, created_ids: dict[str, str]) -> list[tuple[str, Object]]:
        new = arguments["create"]["s"]
        email_id = created_ids.get(new["emailId"].removeprefix("#"), new["emailId"])
        refusal = self.refuse_submission
        if email_id not in self.emails:
            refusal = {"type": "invalidProperties", "properties": ["emailId"]}
        if refusal is not None:
            return self._set_answer("EmailSubmission/set", notCreated={"s": refusal})
        self.outbox.append({"email": self.emails[email_id], **new["envelope"]})
        error = self._patch(email_id, arguments["onSuccessUpdateEmail"]["#s"])
        implied = {"notUpdated": {email_id: error}} if error else {"updated": {email_id: None}}
        created = {"s": {"id": "S1", "undoStatus": "final" if self.style == "cyrus" else "pending"}}
        return [*self._set_answer("EmailSubmission/set", created=created), *self._set_answer("Email/set", **implied)]

    def _quota_get(self, arguments: Object, _: dict[str, str]) -> list[tuple[str, Object]]:
        used, total = self.quota
        item: Object = {"id": "mail", "used": used, "total": total}
        if self.style != "cyrus":
            item = {"id": "a", "resourceType": "octets", "used": used, "hardLimit": total, "types": ["Email"]}
        return self._get("Quota/get", {item["id"]: item}, arguments)

    def _sievescript_get(self, arguments: Object, _: dict[str, str]) -> list[tuple[str, Object]]:
        return self._get("SieveScript/get", self.scripts, arguments)

    def _sievescript_set(self, arguments: Object, _: dict[str, str]) -> list[tuple[str, Object]]:
        every: dict[str, Object] = {
            key: {} for key in ("created", "updated", "notCreated", "notUpdated", "notDestroyed")
        }
        destroyed: list[str] = []
        for kind, done, refused in (("create", "created", "notCreated"), ("update", "updated", "notUpdated")):
            for key, new in (arguments.get(kind) or {}).items():
                if b"bogus" in self.blobs[new["blobId"]]:
                    every[refused][key] = {"type": "invalidScript", "description": "line 1: syntax error"}
                    continue
                id_ = key if kind == "update" else self._new("s")
                self.scripts[id_] = self.scripts.get(id_, {"id": id_, "isActive": False}) | new
                every[done][key] = {"id": id_} if kind == "create" else None
        failed = every["notCreated"] or every["notUpdated"]
        if not failed and {"onSuccessActivateScript", "onSuccessDeactivateScript"} & set(arguments):
            active = arguments.get("onSuccessActivateScript") or ""
            active = every["created"][active[1:]]["id"] if active.startswith("#") else active
            for id_, script in self.scripts.items():
                script["isActive"] = id_ == active
        for id_ in arguments.get("destroy") or []:
            if self.scripts[id_]["isActive"]:
                every["notDestroyed"][id_] = {"type": "scriptIsActive"}
            else:
                del self.scripts[id_]
                destroyed.append(id_)
        return self._set_answer("SieveScript/set", destroyed=destroyed, **every)

    def _new(self, prefix: str) -> str:
        self._serial += 1
        return f"{prefix}{self._serial:06d}"
