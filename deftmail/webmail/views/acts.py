"""What is done to messages: on one and on many, each taken back by one click for a while."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from deftmail.jmap.answers import SetResult
from deftmail.kit.errors import Conflict, Invalid
from deftmail.kit.htmx import is_fragment, redirect, toast
from deftmail.webmail import listing, undo
from deftmail.webmail.access import Mail, mail_view
from deftmail.webmail.views import lists

MAX_IDS = 5000


def ids_of(request: HttpRequest) -> list[str]:
    """The messages a form names: `ids` repeated, each a comma separated list (a row is a conversation)."""
    found = [part for value in request.POST.getlist("ids") for part in value.split(",") if part]
    if not found:
        raise Invalid(_("Choose at least one conversation first."))
    if len(found) > MAX_IDS:
        raise Invalid(_("That is more than can be changed at once."))
    return list(dict.fromkeys(found))


def where_to(request: HttpRequest) -> str:
    """Where the browser goes afterwards; only our own pages."""
    target = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(target, allowed_hosts=None) and target.startswith("/mail/"):
        return target
    return reverse("webmail:index")


def _done(text: str, result: SetResult) -> str:
    if result.failed:
        return (
            text
            + " "
            + ngettext(
                "%(n)d message could not be changed.", "%(n)d messages could not be changed.", len(result.failed)
            )
            % {"n": len(result.failed)}
        )
    return text


@mail_view
@require_POST
def act(request: HttpRequest, mail: Mail) -> HttpResponseBase:
    """One act of the list or the reading pane: `do`, `ids`, `folder` (where they are shown), `next`."""
    do, _sep, argument = request.POST.get("do", "").partition(":")
    ids = ids_of(request)
    handler = ACTS.get(do)
    if handler is None:
        raise Invalid(_("This is not something that can be done to mail."))
    text, result, step = handler(mail, ids, request.POST.get("folder", ""), argument or request.POST.get("to", ""))
    if result.failed and not result.done:
        raise Conflict(_("The mail server refused this change. Reload the page: the message may have moved."))
    undo_url = None
    if step is not None:
        undo_url = reverse("webmail:undo", args=[undo.remember(mail.actor.user_id, step)])
    if text:
        toast(request, _done(text, result), undo_url=undo_url)
    if is_fragment(request):
        return shown_again(request, mail, closed=do in LEAVES)
    return redirect(request, where_to(request))


def shown_again(request: HttpRequest, mail: Mail, *, closed: bool) -> HttpResponseBase:
    """The list as it is now, with the folder counts; `closed` empties the reading pane: its conversation left."""
    key = request.POST.get("folder", "")
    query = QueryDict(request.POST.get("view", ""))
    current = "" if closed else request.POST.get("thread", "")
    context = (
        lists.list_context(mail, lists.folder_page(mail, key, query), key, query, current)
        if key
        else lists.search_context(mail, query, current)
    )
    return render(request, "webmail/_list.html", {**context, "oob": True, "closed": closed})


Outcome = tuple[str, SetResult, undo.Step | None]


def _moved(role: str, text: Callable[[int], str]) -> Callable[[Mail, list[str], str, str], Outcome]:
    def move(mail: Mail, ids: list[str], folder: str, _argument: str) -> Outcome:
        origin = _origin(mail, folder)
        result = mail.account.archive(ids, origin) if role == "archive" else mail.account.trash(ids, origin)
        step = undo.Step(result.done, to=origin, from_=mail.account.role_id(role)) if origin else None
        return text(len(result.done)), result, step

    return move


def _origin(mail: Mail, folder: str) -> str | None:
    """The id of the folder the list shows; None for search results, whose messages lie in several."""
    if not folder:
        return None
    return mail.account.role_id(folder) if folder in listing.ROLES else folder


def _move_to(mail: Mail, ids: list[str], folder: str, argument: str) -> Outcome:
    target = mail.account.role_id(argument) if argument in listing.ROLES else argument
    if not target:
        raise Invalid(_("Choose a folder to move to."))
    origin = _origin(mail, folder)
    result = mail.account.move(ids, target, origin)
    step = undo.Step(result.done, to=origin, from_=target) if origin else None
    return (
        ngettext("Moved %(n)d message", "Moved %(n)d messages", len(result.done)) % {"n": len(result.done)},
        result,
        step,
    )


def _junk(mail: Mail, ids: list[str], folder: str, _argument: str) -> Outcome:
    origin = _origin(mail, folder)
    result = mail.account.junk(ids)
    step = None
    if origin:
        step = undo.Step(
            result.done, to=origin, from_=mail.account.role_id("junk"), add=("$notjunk",), remove=("$junk",)
        )
    return _("Marked as junk"), result, step


def _not_junk(mail: Mail, ids: list[str], _folder: str, _argument: str) -> Outcome:
    result = mail.account.not_junk(ids)
    inbox, junk = mail.account.role_id("inbox"), mail.account.role_id("junk")
    return _("Moved to the inbox"), result, undo.Step(result.done, to=junk, from_=inbox, remove=("$notjunk",))


def _marks(add: tuple[str, ...], remove: tuple[str, ...], text: str) -> Callable[[Mail, list[str], str, str], Outcome]:
    def mark(mail: Mail, ids: list[str], _folder: str, _argument: str) -> Outcome:
        result = mail.account.set_keywords(ids, add=add, remove=remove)
        return (_(text) if text else ""), result, undo.Step(result.done, add=remove, remove=add) if text else None

    return mark


ACTS: dict[str, Callable[[Mail, list[str], str, str], Outcome]] = {
    "archive": _moved("archive", lambda n: ngettext("Archived %(n)d message", "Archived %(n)d messages", n) % {"n": n}),
    "trash": _moved(
        "trash", lambda n: ngettext("Moved %(n)d message to Trash", "Moved %(n)d messages to Trash", n) % {"n": n}
    ),
    "move": _move_to,
    "junk": _junk,
    "not_junk": _not_junk,
    "read": _marks(("$seen",), (), "Marked as read"),
    "unread": _marks((), ("$seen",), "Marked as unread"),
    "star": _marks(("$flagged",), (), ""),
    "unstar": _marks((), ("$flagged",), ""),
}


LEAVES = frozenset({"archive", "trash", "move", "junk", "not_junk"})


@mail_view
@require_POST
def undo_act(request: HttpRequest, mail: Mail, token: str) -> HttpResponseBase:
    """Take the last act back."""
    step = undo.take(mail.actor.user_id, token)
    if step is None:
        raise Conflict(_("It is too late to undo this. The messages are where you moved them."))
    if step.to:
        mail.account.move(step.ids, step.to, step.from_ or None)
    if step.add or step.remove:
        mail.account.set_keywords(step.ids, add=step.add, remove=step.remove)
    toast(request, _("Undone"))
    back = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    path = "/" + back.split("//", 1)[-1].partition("/")[2] if "//" in back else back
    return redirect(request, path if path.startswith("/mail/") else reverse("webmail:index"))
