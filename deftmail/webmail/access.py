"""The only door to mail: the signed-in person's own mailbox, in a state that may be read."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
from deftmail.tenants.actor import Actor
from deftmail.tenants.guards import signed_in
from deftmail.tenants.policies import Action
from deftmail.webmail import listing
from deftmail.webmail.errors import MailAway, MailboxDisabled, MailboxNotReady, NoMailbox


@dataclass(frozen=True)
class Mail:
    """A mailbox opened for its person: the row, and the JMAP account behind it."""

    actor: Actor
    mailbox: MailUser
    account: MailAccount

    @property
    def address(self) -> Address:
        """Whom mail sent from here is from."""
        return Address(self.mailbox.email, self.mailbox.display_name)

    @property
    def own(self) -> set[str]:
        """One's own addresses, lower case."""
        return {self.mailbox.email}


def open_mail(actor: Actor) -> Mail:
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
        access = engine().jmap_access(mailbox.email)
    except EngineError as error:
        raise MailAway(retry_after=AGAIN[MailAway]) from error
    return Mail(actor, mailbox, MailAccount(access))


def mail_view(view: Callable[..., HttpResponseBase] | None = None, *, limit: str = "webmail") -> Callable[..., Any]:
    """Guard a view `view(request, mail, …)`. What the engine answers becomes a refusal with a way on.

    A page that cannot be shown says so in its place, with navigation and sign-out around it, and heals by itself.
    """

    def decorate(inner: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        @functools.wraps(inner)
        def opened(request: HttpRequest, actor: Actor, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                return _answered(inner, request, open_mail(actor), *args, **kwargs)
            except tuple(STATES) as refusal:
                if request.method != "GET" or is_htmx(request):
                    raise
                return state_page(request, actor, refusal)

        return signed_in(Action.MAIL_USE, limit=limit, transaction=False)(opened)

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
_FOLDERS = ("inbox", "drafts", "sent", "archive", "junk", "trash")


def state_page(request: HttpRequest, actor: Actor, refusal: Refusal) -> HttpResponse:
    """The webmail without its mail: why, and what happens next."""
    title, icon = STATES[type(refusal)]
    again = AGAIN.get(type(refusal))
    state: dict[str, Any] = {"title": title, "text": refusal.text, "icon": icon, "again": again}
    if isinstance(refusal, NoMailbox) and actor.can(Action.MAILBOX_MANAGE):
        state |= {"act": _("Create a mailbox"), "act_url": reverse("mailboxes:add")}
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
