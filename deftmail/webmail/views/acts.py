"""What is done to messages: on one and on many, each taken back by one click for a while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from deftmail.jmap import SetResult, State
from deftmail.kit.errors import Conflict, Invalid
from deftmail.kit.htmx import is_fragment, is_htmx, redirect, toast, trigger
from deftmail.webmail import listing, undo
from deftmail.webmail.access import Mail, mail_view
from deftmail.webmail.views import lists

MAX_IDS = 5000
# Of a conversation found by search these stay where they are when the rest is filed: they are one's own copies.
OWN_COPIES = ("sent", "drafts")


@dataclass(frozen=True)
class Act:
    """One thing that can be done. `run(mail, ids, origin, target)`; `said(n, folder)` is the toast for n conversations
    and the name of the target, None for a silent act.

    moves: the messages change folders; touched: the keywords it changes
    """

    run: Callable[[Mail, list[str], str | None, str], SetResult]
    said: Callable[[int, str], str] | None = None
    moves: bool = False
    touched: tuple[str, ...] = ()


def _count(one: str, many: str, n: int, folder: str = "") -> str:
    return ngettext(one, many, n) % {"n": n, "folder": folder}


def _marks(add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Callable[..., SetResult]:
    return lambda mail, ids, _origin, _target: mail.account.set_keywords(ids, add=add, remove=remove)


def _move(mail: Mail, ids: list[str], origin: str | None, target: str) -> SetResult:
    return mail.account.move(ids, target, origin)


ACTS: dict[str, Act] = {
    "archive": Act(
        lambda mail, ids, origin, _target: mail.account.archive(ids, origin),
        lambda n, _folder: _count("Archived %(n)d conversation", "Archived %(n)d conversations", n),
        moves=True,
    ),
    "trash": Act(
        lambda mail, ids, origin, _target: mail.account.trash(ids, origin),
        lambda n, _folder: _count("Moved %(n)d conversation to Trash", "Moved %(n)d conversations to Trash", n),
        moves=True,
    ),
    "move": Act(
        _move,
        lambda n, folder: _count(
            "Moved %(n)d conversation to %(folder)s", "Moved %(n)d conversations to %(folder)s", n, folder
        ),
        moves=True,
    ),
    "junk": Act(
        lambda mail, ids, _origin, _target: mail.account.junk(ids),
        lambda n, _folder: _count("Moved %(n)d conversation to Junk", "Moved %(n)d conversations to Junk", n),
        moves=True,
        touched=("$junk", "$notjunk"),
    ),
    "not_junk": Act(
        lambda mail, ids, _origin, _target: mail.account.not_junk(ids),
        lambda n, _folder: _count("Moved %(n)d conversation to the inbox", "Moved %(n)d conversations to the inbox", n),
        moves=True,
        touched=("$junk", "$notjunk"),
    ),
    "read": Act(_marks(add=("$seen",)), lambda _n, _folder: _("Marked as read"), touched=("$seen",)),
    "unread": Act(_marks(remove=("$seen",)), lambda _n, _folder: _("Marked as unread"), touched=("$seen",)),
    "star": Act(_marks(add=("$flagged",)), touched=("$flagged",)),
    "unstar": Act(_marks(remove=("$flagged",)), touched=("$flagged",)),
}


def asked(request: HttpRequest) -> tuple[str, str, list[str]]:
    """What a form asks for: act, target folder, messages.

    `do` is `act` or `move:folder` for the messages of `ids` (repeated, each a comma separated list, oldest first: a row
    is a conversation); `row` is `act|ids`, the buttons of one row, whatever else is ticked. A star goes to the newest
    message of each conversation. Raises Invalid.
    """
    if row := request.POST.get("row", ""):
        what, _bar, listed = row.partition("|")
        values = [listed]
    else:
        what, values = request.POST.get("do", ""), request.POST.getlist("ids")
    do, _colon, target = what.partition(":")
    if do == "star":
        values = [value.rpartition(",")[2] for value in values]
    ids = list(dict.fromkeys(part for value in values for part in value.split(",") if part))
    if not ids:
        raise Invalid(_("Choose at least one conversation first."))
    if len(ids) > MAX_IDS:
        raise Invalid(_("That is more than can be changed at once."))
    if do not in ACTS:
        raise Invalid(_("This is not something that can be done to mail."))
    return do, target or request.POST.get("to", ""), ids


@mail_view
@require_POST
def act(request: HttpRequest, mail: Mail) -> HttpResponseBase:
    """One act of the list or the reading pane (see `asked`); `folder`: the list that is shown, `origin`: where they lie
    if not there, `next`: where to go."""
    do, target, wanted = asked(request)
    act_ = ACTS[do]
    origin = _folder_id(mail, request.POST.get("origin", request.POST.get("folder", "")))
    before = mail.account.states(wanted)
    ids = _meant(mail, act_, do, wanted, before, origin)
    name = ""
    if do == "move":
        if not target:
            raise Invalid(_("Choose a folder to move to."))
        target, name = _target(mail, target)
    result = act_.run(mail, ids, origin, target) if ids else SetResult()
    if not result.done:
        raise Conflict(_("This could not be changed: the message has moved or is gone. Reload the page."))
    _say(request, mail, act_, before, result, name)
    if not is_fragment(request):
        return redirect(request, where_to(request))
    open_thread = request.POST.get("thread", "")
    hit = any(before[id_].thread_id == open_thread for id_ in result.done)
    # Marked unread, a conversation that stays open would be read again at once.
    leaves = act_.moves or (do == "unread" and request.POST.get("place") == "reading")
    return shown_again(request, mail, closed=hit and leaves, starred=do == "star" if hit and "star" in do else None)


def _meant(
    mail: Mail, act_: Act, do: str, wanted: list[str], before: dict[str, State], origin: str | None
) -> list[str]:
    """The messages an act is about: those still here; of search results, which lie anywhere, the right ones."""
    here = [id_ for id_ in wanted if id_ in before]
    if not act_.moves:
        return here
    if origin is not None:
        return [id_ for id_ in here if origin in before[id_].mailbox_ids]
    if do == "trash":
        return here
    kept = {mail.account.role_id(role) for role in OWN_COPIES}
    return [id_ for id_ in here if not before[id_].mailbox_ids <= kept] or here


def _say(request: HttpRequest, mail: Mail, act_: Act, before: dict[str, State], result: SetResult, folder: str) -> None:
    if act_.said is None:
        return
    text = act_.said(len({before[id_].thread_id for id_ in result.done}), folder)
    if result.failed:
        text += " " + _count(
            "%(n)d message could not be changed.", "%(n)d messages could not be changed.", len(result.failed)
        )
    step = undo.back_to(before, result.done, moved=act_.moves, touched=act_.touched)
    token = undo.remember(mail.actor.user_id, step)
    toast(request, text, undo_url=reverse("webmail:undo", args=[token]) if token else None)


def _folder_id(mail: Mail, key: str) -> str | None:
    """The id of the folder a form names by its key; None for search results."""
    if not key:
        return None
    return mail.account.role_id(key) if key in listing.ROLES else key


def _target(mail: Mail, key: str) -> tuple[str, str]:
    """The id of the folder to move to, and its name for people. Raises NotFound."""
    if key in listing.ROLES:
        return mail.account.role_id(key), str(listing.ROLES[key][0])
    folder = listing.find_folder(mail.account.folders(), key)
    return folder.id, folder.name


def where_to(request: HttpRequest) -> str:
    """Where the browser goes afterwards; only our own pages."""
    return own_page(request.POST.get("next", "")) or reverse("webmail:index")


def own_page(target: str) -> str:
    """`target` where it is a page of the webmail, else ""."""
    safe = url_has_allowed_host_and_scheme(target, allowed_hosts=None) and target.startswith("/mail/")
    safe = safe and "/.." not in target
    return target if safe else ""


def shown_again(
    request: HttpRequest, mail: Mail, *, closed: bool = False, starred: bool | None = None
) -> HttpResponseBase:
    """The list as it is now, with the folder counts.

    closed: the reading pane empties, its conversation left; starred: what its star shows now
    """
    key = request.POST.get("folder", "")
    query = QueryDict(request.POST.get("view", ""))
    current = "" if closed else request.POST.get("thread", "")
    if key:
        context = lists.list_context(mail, lists.folder_page(mail.account, key, query), key, query, current)
    else:
        context = lists.search_context(mail, query, current)
    context |= {"oob": True, "closed": closed}
    if starred is not None:
        ids = request.POST.get("row", "").partition("|")[2] or request.POST.get("ids", "")
        context |= {"show_star": True, "starred": starred, "all_ids": ids}
    response = render(request, "webmail/_list.html", context)
    if closed:
        response["HX-Push-Url"] = context["list_url"]
    return response


@mail_view
@require_POST
def undo_act(request: HttpRequest, mail: Mail, token: str) -> HttpResponseBase:
    """Take the last act back. The page then asks anew for the list it shows."""
    step = undo.take(mail.actor.user_id, token)
    if step is None:
        raise Conflict(_("It is too late to undo this. The messages are where you moved them."))
    if not undo.run(mail.account, step):
        raise Conflict(_("Not everything could be undone. Reload the page to see what is where."))
    toast(request, _("Undone"))
    if is_htmx(request):
        response = HttpResponse("")
        trigger(response, "deft:mail-changed")
        return response
    came_from = urlsplit(request.headers.get("Referer", ""))
    return redirect(request, own_page(came_from.path) or reverse("webmail:index"))
