"""Conversations: the list of a folder, a search, and all messages of one conversation, each in one request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from deftmail.jmap.address import Address, as_addresses, without_duplicates
from deftmail.jmap.answers import GetAnswer, QueryAnswer, get_reader, read_query
from deftmail.jmap.batch import Answers, Batch, Call
from deftmail.jmap.email import READ_ARGUMENTS, Email, read_emails
from deftmail.jmap.errors import AnswerTooLarge, MethodFailed, NotFound
from deftmail.jmap.mailbox import GET_ALL, FolderCalls, Folders, read_folders
from deftmail.jmap.quota import Quota, read_quotas
from deftmail.jmap.search import Search, Snippet, read_snippets
from deftmail.jmap.values import as_flag, as_keys, as_line, as_text, as_texts, as_when

PAGE = 50
MAX_PAGE = 200
MAX_SENDERS = 10
MAX_READ = 50  # messages of one conversation whose bodies are fetched when all of them are too much

NEWEST_FIRST = [{"property": "receivedAt", "isAscending": False}]
_ROW = ["id", "threadId", "mailboxIds", "keywords", "from", "to", "subject", "preview", "receivedAt", "hasAttachment"]
# What the other messages of a conversation add to its row. Previews are left out: they cost a look into each file.
_MEMBER = ["id", "mailboxIds", "keywords", "from", "hasAttachment"]


class _Member(NamedTuple):
    """A message as one of its conversation. A tuple, because a page has hundreds of them."""

    id: str
    mailbox_ids: frozenset[str]
    keywords: frozenset[str]
    from_: tuple[Address, ...]
    has_attachment: bool


class _Head(NamedTuple):
    """The message that stands for its conversation."""

    member: _Member
    thread_id: str
    to: tuple[Address, ...]
    subject: str
    preview: str
    received_at: datetime | None


def _member(data: dict[str, Any]) -> _Member:
    return _Member(
        as_text(data.get("id")),
        as_keys(data.get("mailboxIds")),
        as_keys(data.get("keywords")),
        as_addresses(data.get("from")),
        as_flag(data.get("hasAttachment")),
    )


def _head(data: dict[str, Any]) -> _Head:
    return _Head(
        _member(data),
        as_text(data.get("threadId")),
        as_addresses(data.get("to")),
        as_line(data.get("subject")),
        as_line(data.get("preview")).strip(),
        as_when(data.get("receivedAt")),
    )


_read_members = get_reader(dict)  # read where they are needed: half of them are known as heads
_read_heads = get_reader(_head)
_read_threads = get_reader(lambda data: (as_text(data.get("id")), as_texts(data.get("emailIds"))))


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """One line of the list. ``email_id`` is the newest message that matched, ``email_ids`` all of the conversation,
    ``ids_here`` those in the shown folder: the ones that moving the conversation moves."""

    thread_id: str
    email_id: str
    email_ids: tuple[str, ...]
    ids_here: tuple[str, ...]
    subject: str
    preview: str
    received_at: datetime | None
    senders: tuple[Address, ...]
    recipients: tuple[Address, ...]
    count: int
    unread: bool
    starred: bool
    has_attachment: bool
    draft: bool
    answered: bool
    forwarded: bool
    mailbox_ids: frozenset[str]
    snippet: Snippet | None = None


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """One page of a list. ``total`` counts conversations and is None where the engine could not."""

    folders: Folders
    rows: tuple[ConversationRow, ...]
    total: int | None
    position: int
    query_state: str
    email_state: str
    quota: Quota | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """All messages of a conversation, oldest first. ``cut``: there are more, the oldest were left out."""

    thread_id: str
    emails: tuple[Email, ...]
    folders: Folders | None = None
    cut: bool = False

    @property
    def subject(self) -> str:
        return self.emails[0].subject if self.emails else ""


@dataclass(slots=True)
class _ListCalls:
    query: Call[QueryAnswer]
    newest: Call[GetAnswer[_Head]]
    threads: Call[GetAnswer[tuple[str, tuple[str, ...]]]]
    members: Call[GetAnswer[dict[str, Any]]]
    snippets: Call[dict[str, Snippet]] | None = None


class ThreadCalls(FolderCalls):
    """Lists and conversations."""

    def conversations(
        self,
        mailbox_id: str | None = None,
        *,
        role: str = "inbox",
        position: int = 0,
        anchor: str | None = None,
        limit: int = PAGE,
        unread: bool = False,
        starred: bool = False,
        quota: bool = False,
    ) -> ConversationPage:
        """The conversations of a folder, newest first.

        ``anchor`` is the ``email_id`` of the last row of the page before: paging by it does not skip or repeat when
        mail comes in meanwhile. Where that message is gone, ``position`` is used instead.

        Raises:
            NotFound: no such folder.
        """
        folder = self._id(mailbox_id) if mailbox_id is not None else self.role_id(role)
        only: dict[str, Any] = {"inMailbox": folder}
        if unread:
            only["notKeyword"] = "$seen"
        if starred:
            only["hasKeyword"] = "$flagged"
        paging: dict[str, Any] = {"position": max(0, position)}
        if anchor is not None:
            paging = {"anchor": self._id(anchor), "anchorOffset": 1}
        try:
            return self._list(only, folder, paging, limit, quota)
        except MethodFailed as error:
            if anchor is None or error.type != "anchorNotFound":
                raise
            return self._list(only, folder, {"position": max(0, position)}, limit, quota)

    def search(self, search: Search, *, position: int = 0, limit: int = PAGE, quota: bool = False) -> ConversationPage:
        """Conversations that match, newest first, with what matched marked."""
        roles = self._roles() or {folder.role: folder.id for folder in self.folders().all if folder.role}
        left_out = [roles[role] for role in ("trash", "junk") if role in roles]
        found = search.filter(left_out)
        return self._list(found, search.mailbox_id, {"position": max(0, position)}, limit, quota, snippets=True)

    def _list(
        self,
        filter_: dict[str, Any] | None,
        folder: str | None,
        paging: dict[str, Any],
        limit: int,
        quota: bool,
        *,
        snippets: bool = False,
    ) -> ConversationPage:
        batch = self._batch()
        mailboxes = batch.call("Mailbox/get", GET_ALL, read_folders)
        limit = max(1, min(limit, MAX_PAGE))
        calls = self._list_calls(batch, {"filter": filter_, "limit": limit, **paging}, snippets)
        quotas = self._optional(batch, "Quota/get", {"ids": None}, read_quotas) if quota else None
        answers = self._run(batch)
        folders = answers.get(mailboxes)
        self._remember_roles({f.role: f.id for f in reversed(folders.all) if f.role})
        if folder is not None and folders.get(folder) is None:
            self._forget_roles()
            raise NotFound("no such folder")
        query = answers.get(calls.query)
        newest = answers.get(calls.newest)
        return ConversationPage(
            folders=folders,
            rows=tuple(_rows(answers, calls, query.ids, newest.items, folder, folders)),
            total=query.total,
            position=query.position,
            query_state=query.state,
            email_state=newest.state,
            quota=answers.maybe(quotas),
        )

    def _list_calls(self, batch: Batch, query_arguments: dict[str, Any], snippets: bool) -> _ListCalls:
        query = batch.call(
            "Email/query",
            {"sort": NEWEST_FIRST, "collapseThreads": True, "calculateTotal": True, **query_arguments},
            read_query,
        )
        newest = batch.call("Email/get", {"#ids": query.ref("/ids"), "properties": _ROW}, _read_heads)
        threads = batch.call("Thread/get", {"#ids": newest.ref("/list/*/threadId")}, _read_threads)
        members = batch.call(
            "Email/get", {"#ids": threads.ref("/list/*/emailIds"), "properties": _MEMBER}, _read_members
        )
        calls = _ListCalls(query, newest, threads, members)
        if snippets and query_arguments["filter"]:
            calls.snippets = batch.call(
                "SearchSnippet/get",
                {"filter": query_arguments["filter"], "#emailIds": query.ref("/ids")},
                read_snippets,
            )
        return calls

    def conversation(self, thread_id: str, *, folders: bool = True) -> Conversation:
        """All messages of a conversation with their bodies.

        Raises:
            NotFound: no such conversation.
        """
        thread_id = self._id(thread_id)
        try:
            return self._conversation(thread_id, None, folders)
        except (AnswerTooLarge, MethodFailed) as error:
            if isinstance(error, MethodFailed) and error.type != "requestTooLarge":
                raise
        # A conversation of hundreds of messages or huge bodies: the newest are read, the rest is left out.
        batch = self._batch()
        thread = batch.call("Thread/get", {"ids": [thread_id]}, _read_threads)
        found = self._run(batch).get(thread).items
        if not found:
            raise NotFound("no such conversation")
        return self._conversation(thread_id, found[0][1][-MAX_READ:], folders)

    def _conversation(self, thread_id: str, only: Iterable[str] | None, folders: bool) -> Conversation:
        batch = self._batch()
        mailboxes = batch.call("Mailbox/get", GET_ALL, read_folders) if folders else None
        thread = batch.call("Thread/get", {"ids": [thread_id]}, _read_threads)
        ids = {"#ids": thread.ref("/list/*/emailIds")} if only is None else {"ids": list(only)}
        messages = batch.call("Email/get", {**ids, **READ_ARGUMENTS}, read_emails)
        answers = self._run(batch)
        found = answers.get(thread).items
        emails = answers.get(messages).items if found else []
        if not emails:
            raise NotFound("no such conversation")
        order = {id_: place for place, id_ in enumerate(found[0][1])}
        emails.sort(key=lambda email: order.get(email.id, -1))
        return Conversation(thread_id, tuple(emails), answers.maybe(mailboxes), cut=only is not None)


def _rows(
    answers: Answers, calls: _ListCalls, order: Iterable[str], heads: list[_Head], folder: str | None, folders: Folders
) -> Iterable[ConversationRow]:
    """Rows in the order of the query. Without the members (a page of giant conversations is refused whole) each row
    still stands on its newest message and the ids of its conversation."""
    threads = answers.maybe(calls.threads)
    members = answers.maybe(calls.members)
    snippets = answers.maybe(calls.snippets) or {}
    ids_of = dict(threads.items) if threads else {}
    found = {head.member.id: head for head in heads}
    by_id = {id_: head.member for id_, head in found.items()}
    for data in members.items if members else ():
        if (id_ := as_text(data.get("id"))) not in by_id:
            by_id[id_] = _member(data)
    hidden = {f.id for f in folders.all if f.role in {"trash", "junk"} and f.id != folder}
    for email_id in order:
        head = found.get(email_id)
        if head is None:  # deleted between query and get
            continue
        ids = ids_of.get(head.thread_id) or (email_id,)
        # Messages thrown away count only where one looks at them.
        shown = [by_id[id_] for id_ in ids if id_ in by_id and not by_id[id_].mailbox_ids <= hidden]
        yield _row(head, ids, shown or [head.member], folder, snippets.get(email_id), complete=members is not None)


def _row(
    head: _Head,
    ids: tuple[str, ...],
    shown: list[_Member],
    folder: str | None,
    snippet: Snippet | None,
    *,
    complete: bool,
) -> ConversationRow:
    newest = head.member
    here = tuple([member.id for member in shown if folder is None or folder in member.mailbox_ids])
    senders = without_duplicates(tuple([member.from_[0] for member in shown if member.from_]), set())
    keywords: frozenset[str] = frozenset().union(*[member.keywords for member in shown])
    return ConversationRow(
        thread_id=head.thread_id,
        email_id=newest.id,
        email_ids=ids,
        ids_here=here or (newest.id,),
        subject=head.subject,
        preview=head.preview,
        received_at=head.received_at,
        senders=senders[:MAX_SENDERS],
        recipients=head.to,
        count=len(shown) if complete else len(ids),
        unread=any("$seen" not in member.keywords and "$draft" not in member.keywords for member in shown),
        starred="$flagged" in keywords,
        has_attachment=any(member.has_attachment for member in shown),
        draft="$draft" in keywords,
        answered="$answered" in newest.keywords,
        forwarded="$forwarded" in newest.keywords,
        mailbox_ids=frozenset().union(*[member.mailbox_ids for member in shown]),
        snippet=snippet,
    )
