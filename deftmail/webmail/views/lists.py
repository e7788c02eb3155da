"""The list of conversations, and one conversation beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from deftmail.jmap import Conversation, ConversationPage, JmapError, MailAccount
from deftmail.kit.errors import NotFound
from deftmail.kit.htmx import is_fragment, redirect
from deftmail.kit.later import render_around
from deftmail.webmail import listing, previews, reading, sending
from deftmail.webmail.access import Mail, mail_view

_A_PAGE: dict[str, Any] = {"limit": listing.PAGE, "quota": True}


def position_of(query: QueryDict) -> int:
    """Where in the list the page begins."""
    raw = query.get("from", "0")
    return min(int(raw), 1_000_000) if raw.isascii() and raw.isdigit() and len(raw) < 8 else 0


def view_filter(query: QueryDict) -> dict[str, Any]:
    """The quick filters of the list."""
    show = query.get("show", "")
    return {"unread": show == "unread", "starred": show == "starred"}


def list_frame(key: str, asked: QueryDict, current: str = "") -> dict[str, Any]:
    """What a list shows that is known before the engine has answered. `asked`: the query that says which part of it."""
    return {
        "folder_key": key,
        "list_url": _at(key, asked, position_of(asked)),
        "filters": {
            "all": _at(key, asked, 0, show=""),
            "unread": _at(key, asked, 0, show="unread"),
            "starred": _at(key, asked, 0, show="starred"),
        },
        "folders_url": reverse("webmail:folders"),
        "show": asked.get("show", ""),
        "q": asked.get("q", ""),
        "view": urlencode(listing.kept(asked)),
        "pane": "list",
        "thread_id": current,
        "can": listing.acts_in(key),
    }


def _at(key: str, asked: QueryDict, position: int, **changed: str) -> str:
    wanted = {**listing.kept(asked), "from": str(position) if position else "", **changed}
    wanted = {name: value for name, value in wanted.items() if value}
    return listing.list_url(key) + ("?" + urlencode(wanted) if wanted else "")


def list_context(mail: Mail, page: ConversationPage, key: str, asked: QueryDict, current: str = "") -> dict[str, Any]:
    """What the list and the folder list show."""
    folder = listing.find_folder(page.folders, key) if key else None
    folders = listing.links(page.folders, key)
    begin = page.position
    end = begin + len(page.rows)
    more = page.total > end if page.total is not None else len(page.rows) == listing.PAGE
    return {
        **list_frame(key, asked, current),
        "folders": folders,
        "folder": folder,
        "folder_name": listing.folder_name(folder) if folder else _("Search"),
        "list_title": next((link.title for link in folders if link.current), ""),
        "rows": listing.rows(page, key, mail.own, listing.kept(asked), current),
        "begin": begin + 1,
        "end": end,
        "total": page.total,
        "newer": _at(key, asked, max(begin - listing.PAGE, 0)) if begin else "",
        "older": _at(key, asked, begin + listing.PAGE) if more else "",
        "quota": page.quota,
        "sent": sending.meter_of(mail),
        "move_targets": listing.targets(folders, key),
    }


@mail_view
@require_safe
def index(request: HttpRequest, mail: Mail) -> HttpResponseBase:
    """To the inbox; makes the folders every mailbox has on the way."""
    mail.account.ensure_roles()
    return redirect(request, "webmail:folder", "inbox")


def folder_page(account: MailAccount, key: str, query: QueryDict) -> ConversationPage:
    """One page of a folder in one request to the engine."""
    where: dict[str, Any] = {"role": key} if key in listing.ROLES else {"mailbox_id": key}
    where |= view_filter(query)
    return _page(account, query, lambda position: account.conversations(**where, position=position, **_A_PAGE))


def _page(account: MailAccount, query: QueryDict, read: Callable[[int], ConversationPage]) -> ConversationPage:
    """The page that is asked for, or the last one there is: what was on it may have been moved away since."""
    page = read(position_of(query))
    if not page.rows and page.position and page.total:
        page = read((page.total - 1) // listing.PAGE * listing.PAGE)
    return previews.readable(account, page)


@mail_view(ahead=lambda request, folder: [(folder_page, folder, request.GET)])
@require_safe
def folder(request: HttpRequest, mail: Mail, folder: str) -> HttpResponse:
    """The conversations of a folder."""
    current = request.GET.get("open", "")[:255]  # what is read beside it, when the list alone is asked for again

    def shown() -> dict[str, Any]:
        return list_context(mail, mail.ask(folder_page, folder, request.GET), folder, request.GET, current)

    if is_fragment(request):
        return render(request, "webmail/_list.html", {**shown(), "oob": True})
    frame = {**list_frame(folder, request.GET, current), "sent": sending.meter_of(mail)}
    return render_around(request, "webmail/mail.html", frame, shown)


@mail_view(ahead=lambda _request, folder, thread_id: [(MailAccount.conversation, thread_id)])
@require_safe
def thread(request: HttpRequest, mail: Mail, folder: str, thread_id: str) -> HttpResponse:
    """One conversation: alone for htmx, beside its list as a full page."""
    conversation = mail.ask(MailAccount.conversation, thread_id)
    just_read = mark_seen(request, mail, conversation)
    if is_fragment(request):
        context = reading.context(request, mail, conversation, folder, conversation.folders)
        if conversation.folders is not None:
            context["folders"] = listing.links(conversation.folders, folder, just_read=just_read)
        return render(request, "webmail/_reading.html", {**context, "oob": True})
    page = folder_page(mail.account, folder, request.GET)  # after its row has become read
    context = list_context(mail, page, folder, request.GET, thread_id)
    context |= reading.context(request, mail, conversation, folder, page.folders)
    return render(request, "webmail/mail.html", {**context, "pane": "reading"})


def mark_seen(request: HttpRequest, mail: Mail, conversation: Conversation) -> frozenset[str]:
    """Opening a conversation marks it read, unless the browser only prefetches; answers the folders it was unread in.

    Failing to is no reason not to show it.
    """
    unseen = [email for email in conversation.emails if not email.seen and not email.draft]
    if not unseen or "prefetch" in request.headers.get("Sec-Purpose", ""):
        return frozenset()
    try:
        mail.account.mark_read(email.id for email in unseen)
    except JmapError:
        return frozenset()
    return frozenset().union(*(email.mailbox_ids for email in unseen))


@mail_view
@require_safe
def search(request: HttpRequest, mail: Mail) -> HttpResponse:
    """Conversations that match the search field, over all folders."""
    context = search_context(mail, request.GET, request.GET.get("open", "")[:255])
    if is_fragment(request):
        return render(request, "webmail/_list.html", {**context, "oob": True})
    return render(request, "webmail/mail.html", context)


def search_context(mail: Mail, query: QueryDict, current: str = "") -> dict[str, Any]:
    """The results of the search field; with nothing to search for, the field alone."""
    text = query.get("q", "").replace("\0", "").strip()  # the engine takes no NUL
    if text:
        wanted = listing.parse_search(text)
        page = _page(mail.account, query, lambda position: mail.account.search(wanted, position=position, **_A_PAGE))
        context = {**list_context(mail, page, "", query, current), "searching": True}
        if not wanted.everywhere:
            context["everywhere_url"] = reverse("webmail:search") + "?" + urlencode({"q": f"in:anywhere {text}"})
        return context
    folders = mail.account.folders(quota=True)
    return {
        "folders": listing.links(folders),
        "folder_name": _("Search"),
        "folders_url": reverse("webmail:folders"),
        "list_url": reverse("webmail:search"),
        "rows": [],
        "searching": True,
        "quota": folders.quota,
        "sent": sending.meter_of(mail),
        "pane": "list",
    }


@mail_view(ahead=lambda _request, thread_id: [(MailAccount.conversation, thread_id)])
@require_safe
def search_thread(request: HttpRequest, mail: Mail, thread_id: str) -> HttpResponse:
    """A conversation found by search, beside the results."""
    conversation = mail.ask(MailAccount.conversation, thread_id)
    just_read = mark_seen(request, mail, conversation)
    if conversation.folders is None:
        raise NotFound
    context = reading.context(request, mail, conversation, "", conversation.folders)
    if is_fragment(request):
        context["folders"] = listing.links(conversation.folders, just_read=just_read)
        return render(request, "webmail/_reading.html", {**context, "oob": True})
    context = {**search_context(mail, request.GET, thread_id), **context}
    return render(request, "webmail/mail.html", {**context, "pane": "reading"})
