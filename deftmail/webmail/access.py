"""The only door to mail: the signed-in person's own mailbox, in a state that may be read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from deftmail.engine.errors import EngineError
from deftmail.engine.registry import engine
from deftmail.jmap import Address, JmapError, MailAccount
from deftmail.jmap.errors import InvalidId
from deftmail.jmap.errors import NotFound as JmapNotFound
from deftmail.kit.database import release_connections
from deftmail.kit.errors import Conflict, NotFound, Refusal
from deftmail.kit.htmx import is_htmx
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.access import own_mailbox
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.selectors import people_without_mailbox, signing_in_themselves
from deftmail.tenants.actor import Actor
from deftmail.tenants.guards import signed_in
from deftmail.tenants.policies import Action
from deftmail.webmail import listing
from deftmail.webmail.ahead import Ahead, Question, last
from deftmail.webmail.errors import MailAway, MailboxDisabled, MailboxNotReady, NoMailbox

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Mail:
    """A mailbox opened for its person: the row, and the JMAP account behind it. `ahead`: what was asked before that."""

    actor: Actor
    mailbox: MailUser
    account: MailAccount
    ahead: Ahead | None = None

    def ask(self, question: Callable[Concatenate[MailAccount, P], T], *args: P.args, **none: P.kwargs) -> T:
        """`question(account, *args)`, or the answer to it that is under way (see `mail_view`)."""
        found = self.ahead.take(question, *args) if self.ahead else None
        answer: T = found.result() if found else question(self.account, *args, **none)
        return answer

    @property
    def address(self) -> Address:
        """Whom mail sent from here is from."""
        return Address(self.mailbox.email, self.mailbox.display_name)

    @property
    def own(self) -> set[str]:
        """One's own addresses, lower case."""
        return {self.mailbox.email}


def open_mail(actor: Actor, ahead: Ahead | None = None) -> Mail:
    """Open the actor's own mailbox. The engine would open any: the state is checked here, at every request.

    Raises NoMailbox, MailboxDisabled, MailboxNotReady, MailAway.
    """
    try:
        with tenant_tx(actor.tenant_id):
            mailbox = own_mailbox(actor)
    except NotFound as error:
        raise NoMailbox from error
    release_connections()  # the engine may let us wait
    if mailbox.status == MailUser.Status.DISABLED:
        raise MailboxDisabled
    if mailbox.synced_at is None:
        raise MailboxNotReady(retry_after=AGAIN[MailboxNotReady])
    try:
        account = _account(mailbox.email)
    except EngineError as error:
        raise MailAway(retry_after=AGAIN[MailAway]) from error
    if ahead is not None and ahead.address == mailbox.email:
        ahead.confirmed = True
        return Mail(actor, mailbox, account, ahead)
    return Mail(actor, mailbox, account)


def _account(address: str) -> MailAccount:
    return MailAccount(engine().jmap_access(address))


def _ask_ahead(request: HttpRequest, questions: Sequence[Question]) -> Ahead | None:
    address = last.of(request)
    if not questions or not address or request.method not in ("GET", "HEAD"):
        return None
    try:
        return Ahead(address, _account(address), questions)
    except EngineError:  # `open_mail` will meet it too, and knows what to say
        return None


def mail_view(
    view: Callable[..., HttpResponseBase] | None = None,
    *,
    limit: str = "webmail",
    ahead: Callable[..., Sequence[Question]] = lambda _request, **_parts: (),
) -> Callable[..., Any]:
    """Guard a view `view(request, mail, …)`. What the engine answers becomes a refusal with a way on.

    A page that cannot be shown says so in its place, with navigation and sign-out around it, and heals by itself.

    ahead: what the view will ask by `mail.ask`, from the request and the parts of its address; it leaves at once
    """

    def decorate(inner: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        @functools.wraps(inner)
        def opened(request: HttpRequest, actor: Actor, *, asked: Ahead | None, **parts: Any) -> HttpResponseBase:
            try:
                mail = open_mail(actor, asked)
                last.remember(request, mail.mailbox.email)
                return _answered(inner, request, mail, **parts)
            except tuple(STATES) as refusal:
                if request.method != "GET" or is_htmx(request):
                    raise
                return state_page(request, actor, refusal)

        guarded = signed_in(Action.MAIL_USE, limit=limit, transaction=False)(opened)

        @functools.wraps(guarded)
        def begun(request: HttpRequest, **parts: Any) -> HttpResponseBase:
            asked = _ask_ahead(request, ahead(request, **parts))
            try:
                return guarded(request, asked=asked, **parts)
            finally:
                if asked is not None:
                    asked.drop()
                    if not asked.confirmed:
                        last.forget(request, asked.address)

        return begun

    return decorate(view) if view is not None else decorate


def _answered(inner: Callable[..., HttpResponseBase], *args: Any, **kwargs: Any) -> HttpResponseBase:
    try:
        return inner(*args, **kwargs)
    except (JmapNotFound, InvalidId) as error:
        raise NotFound from error
    except JmapError as error:
        if error.temporary:
            raise MailAway(retry_after=AGAIN[MailAway]) from error
        raise Conflict(_("The mail server refused this: %(why)s") % {"why": str(error)}) from error


# What a mailbox that cannot be shown is called, and its icon.
STATES: dict[type[Refusal], tuple[Promise, str]] = {
    MailAway: (gettext_lazy("Mail is not available at the moment"), "cloud-off"),
    MailboxNotReady: (gettext_lazy("Your mailbox is being set up"), "loader"),
    MailboxDisabled: (gettext_lazy("This mailbox is disabled"), "ban"),
    NoMailbox: (gettext_lazy("You have no mailbox yet"), "at-sign"),
}
AGAIN: dict[type[Refusal], int] = {MailAway: 10, MailboxNotReady: 3}  # seconds until the page asks again by itself
OTHERS = 3
"""How many mailboxes are named to somebody who has none."""
_FOLDERS = ("inbox", "drafts", "sent", "archive", "junk", "trash")


def _ways_in(actor: Actor) -> dict[str, Any]:
    """What brings somebody without a mailbox to mail: one of his own address, or the sign-in of one there is."""
    with tenant_tx(actor.tenant_id):
        own = actor.label if actor.label in people_without_mailbox(actor.tenant_id) else ""
        others = [mailbox.email for mailbox in signing_in_themselves(actor.tenant_id)[:OTHERS]]
    ways: dict[str, Any] = {"act": _("Create a mailbox"), "act_url": reverse("mailboxes:add"), "others": others}
    if own:
        ways["text"] = _("Create one with your own address, %(address)s, and it opens here.") % {"address": own}
    return ways


def state_page(request: HttpRequest, actor: Actor, refusal: Refusal) -> HttpResponse:
    """The webmail without its mail: why, and what happens next."""
    title, icon = STATES[type(refusal)]
    again = AGAIN.get(type(refusal))
    state: dict[str, Any] = {"title": title, "text": refusal.text, "icon": icon, "again": again}
    if isinstance(refusal, NoMailbox) and actor.can(Action.MAILBOX_MANAGE):
        state |= _ways_in(actor)
    folders = [
        {"name": listing.ROLES[role][0], "icon": listing.ROLES[role][1], "url": reverse("webmail:folder", args=[role])}
        for role in (_FOLDERS if again else ())
    ]
    context = {"state": state, "folders": folders, "pane": "reading", "wide": True, "folder_name": _("Mail")}
    response = render(request, "webmail/state.html", context, status=refusal.status)
    if again:
        response["Retry-After"] = str(again)
    response["Cache-Control"] = "no-store"
    return response
