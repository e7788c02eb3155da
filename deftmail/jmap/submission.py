"""Drafts and sending (RFC 8621 §4.6, §7), such that a lost answer or a second click does no harm.

What makes it so is the Message-ID: it stays the same through all drafts of one composition, and before a message is
sent the Sent folder is asked for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from deftmail.jmap.answers import GetAnswer, SetAnswer, get_reader, read_query, read_set
from deftmail.jmap.batch import Answers, Batch, Call
from deftmail.jmap.compose import OutgoingMessage, as_jmap, check_message
from deftmail.jmap.email import Email
from deftmail.jmap.errors import (
    EngineUnavailable,
    JmapError,
    MethodFailed,
    NotFound,
    SendRefused,
    SendUnknown,
    SetError,
)
from deftmail.jmap.mailbox import FolderCalls
from deftmail.jmap.refusal import explain, nobody_took_it, refused_recipients, sentences
from deftmail.jmap.transport import SENDING
from deftmail.jmap.values import Model, Text, as_count, as_text

# Seconds to wait before each look into Sent after a lost answer: the engine may still be at it.
LOOKS = (0.5, 2.0, 4.0)


class Identity(Model):
    """An address one may send as. Names and signatures are ours to keep, not the engine's."""

    id: Text
    email: Text = ""
    name: Text = ""


@dataclass(frozen=True, slots=True)
class Draft:
    id: str
    thread_id: str
    blob_id: str
    size: int
    message_id: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that left. ``already``: it had been sent before and this call sent nothing. ``tidy``: false when the
    mail left but the old draft or the mark on the answered message could not be brought up to date. ``refused``: the
    server's sentence, possibly empty, for each recipient it did not take while it took others; no bounce tells it."""

    email_id: str
    thread_id: str
    message_id: str
    already: bool = False
    tidy: bool = True
    refused: Mapping[str, str] = field(default_factory=dict)


_read_identities = get_reader(Identity.model_validate)
_read_emails = get_reader(Email.model_validate)
_read_refused = get_reader(refused_recipients)
_BRIEF = ["id", "threadId", "messageId", "mailboxIds", "keywords"]


def _drafts(answer: GetAnswer[Email] | None) -> list[str]:
    return [email.id for email in answer.items if email.draft] if answer is not None else []


def _exactly(emails: list[Email], message_id: str) -> list[Email]:
    """Those with this Message-ID: engines may search headers by words or parts of words."""
    return [email for email in emails if message_id in email.message_id]


@dataclass(frozen=True, slots=True)
class _Submission:
    """The calls that send: ``outcome`` where the answer does not say who was refused; ``several`` recipients or one."""

    made: Call[SetAnswer]
    outcome: Call[GetAnswer[dict[str, str]]] | None
    several: bool


class SubmissionCalls(FolderCalls):
    """Saving drafts and sending."""

    def identities(self) -> list[Identity]:
        """The addresses the engine lets this mailbox send as."""
        batch = self._batch()
        call = batch.call("Identity/get", {"ids": None}, _read_identities)
        found = [identity for identity in self._run(batch).get(call).items if identity.id]
        self._remember("identities", found)
        return found

    def save_draft(self, message: OutgoingMessage, replaces: str | None = None) -> Draft:
        """Store a draft; older copies of it are destroyed afterwards, never before the new one is safe.

        ``replaces`` is left alone when it is no draft (any more): sent in another window, or a received message.
        Safe to repeat: copies are recognised by their Message-ID, also those whose answer was lost.

        Raises:
            InvalidMessage, OverQuota, TooLarge, SetFailed: nothing was stored, the old draft is untouched.
        """
        check_message(message, complete=False)
        wanted = [self._id(replaces)] if replaces is not None else []
        for attempt in (1, 2):
            drafts = self.role_id("drafts")
            batch = self._batch()
            replaced = self._named(batch, wanted)
            create = batch.call("Email/set", {"create": {"d": as_jmap(message, drafts)}}, read_set)
            copies = self._find_copies(batch, drafts, message.message_id)
            answers = self._run(batch)
            answer = answers.get(create)
            if "d" in answer.created or attempt == 2 or not _folder_gone(answer.not_created.get("d")):
                break
            self._forget_roles()
        same = _same_copy(answer)
        draft = Draft(same, "", "", 0, message.message_id) if same else _created(answer, message.message_id)
        old = [id_ for id_ in _drafts(answers.maybe(replaced) if replaced else None) if id_ != draft.id]
        found = answers.maybe(copies)
        copied = _exactly(found.items if found else [], message.message_id)
        old += [email.id for email in copied if email.id != draft.id and email.id not in old]
        if old:
            self._destroy_many("Email/set", old)
        return draft

    def with_message_id(self, message_id: str) -> list[str]:
        """The ids of the messages with this Message-ID, wherever they lie."""
        batch = self._batch()
        arguments = {"filter": {"header": ["Message-ID", message_id]}, "limit": 50}
        query = batch.call("Email/query", arguments, read_query)
        call = batch.call("Email/get", {"#ids": query.ref("/ids"), "properties": _BRIEF}, _read_emails)
        return [email.id for email in _exactly(self._run(batch).get(call).items, message_id) if not email.draft]

    def discard_draft(self, draft_id: str) -> None:
        """Destroy a draft for ever; other messages are left alone.

        Raises:
            NotFound: not a draft.
        """
        draft_id = self._id(draft_id)
        batch = self._batch()
        call = batch.call("Email/get", {"ids": [draft_id], "properties": _BRIEF}, _read_emails)
        if not any(email.draft for email in self._run(batch).get(call).items):
            raise NotFound("not a draft")
        self._destroy_many("Email/set", [draft_id])

    def send(
        self,
        message: OutgoingMessage,
        *,
        replaces: str | None = None,
        answers: str | None = None,
        forwards: str | None = None,
    ) -> Sent:
        """Send a message: into Sent on success, else it lies in Drafts.

        ``replaces`` is its draft (left alone when it is none any more), ``answers`` and ``forwards`` the message to be
        marked as answered or forwarded.

        Raises:
            InvalidMessage, OverQuota, TooLarge, SetFailed: nothing was stored or sent.
            SendRefused: not sent; see there. The draft is ``draft_id``.
            SendUnknown: the answer was lost.
            EngineUnavailable: the engine could not be asked; nothing was sent.
        """
        check_message(message, complete=True)
        marks = {self._id(id_): word for id_, word in ((answers, "$answered"), (forwards, "$forwarded")) if id_}
        before, old = self._copies(message.message_id, [self._id(replaces)] if replaces is not None else [])
        if before is not None:
            tidy = self._tidy(old, marks)
            return replace(self._found(before, message.message_id), already=True, tidy=tidy)
        sent = self._create_and_submit(message, old)
        return replace(sent, tidy=self._tidy(old, marks))

    def submit(self, email_id: str, sender: str, recipients: Iterable[str]) -> Sent:
        """Send a message that is stored already (mail that was held back); into Sent on success.

        Raises:
            NotFound: the message is gone. The others as ``send``.
        """
        email_id = self._id(email_id)
        batch = self._batch()
        call = batch.call("Email/get", {"ids": [email_id], "properties": _BRIEF}, _read_emails)
        found = self._run(batch).get(call).items
        if not found:
            raise NotFound("no such message")
        message_id = found[0].message_id[0] if found[0].message_id else ""
        if message_id and (before := self._copies(message_id)[0]) is not None:
            return replace(self._found(before, message_id), already=True)
        batch = self._batch()
        submission = self._submit(batch, email_id, sender, recipients)
        replies = self._run_sending(batch, message_id, email_id)
        if isinstance(replies, Sent):
            return replies
        refused = self._check_submitted(replies, submission, email_id)
        return Sent(email_id, found[0].thread_id, message_id, refused=refused)

    # The steps

    def _create_and_submit(self, message: OutgoingMessage, old: list[str]) -> Sent:
        drafts, sender = self.role_id("drafts"), message.sender.email.strip()
        batch = self._batch()
        create = batch.call("Email/set", {"create": {"d": as_jmap(message, drafts)}}, read_set)
        try:
            submission = self._submit(batch, "#d", sender, message.recipients)
        except MethodFailed as error:  # the account has no submission capability: the engine's SMTP server is away
            draft = self.save_draft(message, old[0] if old else None)
            self.client.forget(self.access)  # so that the next try sees when it is back
            raise SendRefused("engine", temporary=True, draft_id=draft.id) from error
        replies = self._run_sending(batch, message.message_id, old[0] if old else None)
        if isinstance(replies, Sent):
            return replies
        answer = replies.get(create)
        if (same := _same_copy(answer)) is not None:
            # Saved and sent within a second, a message is byte for byte its draft: that one is sent.
            if same in old:
                old.remove(same)
            return self.submit(same, sender, message.recipients)
        if "d" not in answer.created and _folder_gone(answer.not_created.get("d")):
            self._forget_roles()
        draft = _created(answer, message.message_id)
        try:
            refused = self._check_submitted(replies, submission, draft.id)
        except (SendRefused, SendUnknown):
            # What was refused is the newest draft now; the copy it replaces is of no use any more.
            self._tidy(old, {})
            raise
        return Sent(draft.id, draft.thread_id, message.message_id, refused=refused)

    def _submit(self, batch: Batch, email_id: str, sender: str, recipients: Iterable[str]) -> _Submission:
        envelope = self._envelope(sender, recipients)
        made = batch.call("EmailSubmission/set", self._submission(email_id, sender, envelope), read_set)
        arguments = {"ids": ["#s"], "properties": ["deliveryStatus"]}
        outcome = batch.call("EmailSubmission/get", arguments, _read_refused) if self._takes_some() else None
        return _Submission(made, outcome, len(envelope["rcptTo"]) > 1)

    def _run_sending(self, batch: Batch, message_id: str, draft_id: str | None) -> Answers | Sent:
        """The answers, or what was found in Sent when they were lost."""
        try:
            return self._run(batch, timeout=SENDING)
        except EngineUnavailable as error:
            if not error.sent:
                raise
            return self._after_lost_answer(message_id, draft_id, error)

    def _after_lost_answer(self, message_id: str, draft_id: str | None, cause: JmapError) -> Sent:
        for pause in LOOKS if message_id else ():
            time.sleep(pause)
            try:
                found = self._copies(message_id)[0]
            except JmapError:
                continue
            if found is not None:
                return self._found(found, message_id)
        raise SendUnknown(str(cause), draft_id=draft_id) from cause

    def _found(self, email: Email, message_id: str) -> Sent:
        """What lies in Sent: sent by an earlier call, or by one whose answer was lost."""
        refused = self._refused(email.id) if self._takes_some() else {}
        return Sent(email.id, email.thread_id, message_id, refused=sentences(refused))

    def _check_submitted(self, answers: Answers, submission: _Submission, email_id: str) -> dict[str, str]:
        """The sentences for the recipients that were refused while others were not."""
        try:
            answer = answers.get(submission.made)
        except MethodFailed as error:
            raise SendRefused("engine", temporary=True, draft_id=email_id) from error
        if "s" not in answer.created:
            raise explain(answer.not_created.get("s") or SetError("serverFail"), email_id)
        refused: dict[str, str] = {}
        if submission.outcome is not None:
            # This engine calls a submission final only when nothing of it is in its queue: no recipient was taken.
            final = as_text(answer.created["s"].get("undoStatus")) == "final"
            told = answers.maybe(submission.outcome)
            if told is not None and told.items:
                refused = told.items[0]
            elif final or submission.several:
                refused = self._refused(email_id)  # it does not know the reference
            if final and refused:
                back = {"mailboxIds": {self.role_id("drafts"): True}, "keywords/$draft": True}
                self._quietly(lambda: self._set_one("Email/set", email_id, back))
                raise nobody_took_it(refused, email_id)
        implied = answers.implied(submission.made, "Email/set")
        if implied is not None and email_id not in read_set(implied).updated:
            # It left but could not be filed (Sent was deleted meanwhile): file it now, or it looks unsent.
            self._forget_roles()
            self._quietly(lambda: self._set_one("Email/set", email_id, self._filed()))
        return sentences(refused)

    def _takes_some(self) -> bool:
        """Does this engine take mail for some of its recipients? (The other one takes it for all of them or none.)"""
        return self.session.is_stalwart

    def _refused(self, email_id: str) -> dict[str, str]:
        """Whom a message did not go to when it was last submitted, with the replies; no error, since it has left."""
        batch = self._batch()
        last = {"filter": {"emailIds": [email_id]}, "sort": [{"property": "sentAt", "isAscending": False}], "limit": 1}
        query = batch.call("EmailSubmission/query", last, read_query)
        arguments = {"#ids": query.ref("/ids"), "properties": ["deliveryStatus"]}
        call = batch.call("EmailSubmission/get", arguments, _read_refused)
        try:
            found = self._run(batch).get(call).items
        except JmapError:
            return {}
        return found[0] if found else {}

    def _find_copies(self, batch: Batch, folder: str, message_id: str) -> Call[GetAnswer[Email]]:
        conditions = [{"inMailbox": folder}, {"header": ["Message-ID", message_id]}]
        arguments = {"filter": {"operator": "AND", "conditions": conditions}, "limit": 50}
        query = batch.call("Email/query", arguments, read_query)
        return batch.call("Email/get", {"#ids": query.ref("/ids"), "properties": _BRIEF}, _read_emails)

    def _named(self, batch: Batch, ids: Sequence[str]) -> Call[GetAnswer[Email]] | None:
        return batch.call("Email/get", {"ids": list(ids), "properties": _BRIEF}, _read_emails) if ids else None

    def _copies(self, message_id: str, replaced: Sequence[str] = ()) -> tuple[Email | None, list[str]]:
        """The message in Sent with this Message-ID, and the ids of the drafts that it makes useless: those of
        ``replaced`` that are drafts, and its copies in Drafts; one request."""
        sent, drafts = self.role_id("sent"), self.role_id("drafts")
        batch = self._batch()
        in_sent = self._find_copies(batch, sent, message_id)
        in_drafts = self._find_copies(batch, drafts, message_id)
        named = self._named(batch, replaced)
        answers = self._run(batch)
        found = _exactly(answers.get(in_sent).items, message_id)
        copies = _exactly(answers.get(in_drafts).items, message_id)
        old = [*_drafts(answers.maybe(named) if named else None), *(email.id for email in copies if email.draft)]
        return (found[0] if found else None), list(dict.fromkeys(old))

    def _tidy(self, old: list[str], marks: dict[str, str]) -> bool:
        """After sending: older drafts of it go, and what it answers is marked. The mail has left, so nothing here may
        turn into an error. It is a request of its own because /set calls run whether or not the one before succeeded:
        in the same request a refused answer would leave its draft destroyed and the original marked as answered."""
        change = {
            "update": {id_: {f"keywords/{word}": True} for id_, word in marks.items()} or None,
            "destroy": old or None,
        }
        return not (old or marks) or self._quietly(lambda: self._set("Email/set", change))

    @staticmethod
    def _quietly(act: Callable[[], object]) -> bool:
        try:
            act()
        except JmapError:
            return False
        return True

    def _filed(self) -> dict[str, Any]:
        return {"mailboxIds": {self.role_id("sent"): True}, "keywords/$draft": None, "keywords/$seen": True}

    def _submission(self, email_id: str, sender: str, envelope: dict[str, Any]) -> dict[str, Any]:
        """Arguments of EmailSubmission/set: filed in Sent in the same request, only when it was accepted (§7.5)."""
        create = {"emailId": email_id, "identityId": self._identity(sender), "envelope": envelope}
        return {"create": {"s": create}, "onSuccessUpdateEmail": {"#s": self._filed()}}

    @staticmethod
    def _envelope(sender: str, recipients: Iterable[str]) -> dict[str, Any]:
        return {"mailFrom": {"email": sender}, "rcptTo": [{"email": email} for email in dict.fromkeys(recipients)]}

    def _identity(self, sender: str) -> str:
        """The identity of an address; for one the engine does not know (an alias) its first: the envelope counts."""
        known: list[Identity] = self._recall("identities", []) or self.identities()
        key = sender.casefold()
        chosen = next((identity for identity in known if identity.email.casefold() == key), None)
        if chosen is None and not known:
            raise SendRefused("sender", temporary=False)
        return (chosen or known[0]).id


def _folder_gone(error: SetError | None) -> bool:
    return error is not None and error.type == "invalidProperties" and "mailboxIds" in " ".join(error.properties)


def _same_copy(answer: SetAnswer) -> str | None:
    """The message that is already stored with exactly these bytes, where an engine refuses a second (RFC 8621 §4.6)."""
    error = answer.not_created.get("d")
    return error.existing_id if error is not None and error.type == "alreadyExists" else None


def _created(answer: SetAnswer, message_id: str) -> Draft:
    data = answer.created.get("d")
    if data is None or not as_text(data.get("id")):
        raise (answer.not_created.get("d") or SetError("serverFail")).as_exception()
    return Draft(
        as_text(data["id"]),
        as_text(data.get("threadId")),
        as_text(data.get("blobId")),
        as_count(data.get("size")),
        message_id,
    )
