"""The only door to mail: the signed-in person's own mailbox, in a state that may be read."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _

from deftmail.engine.errors import EngineError
from deftmail.engine.registry import engine
from deftmail.jmap import Address, JmapError, MailAccount
from deftmail.jmap.errors import InvalidId
from deftmail.jmap.errors import NotFound as JmapNotFound
from deftmail.kit.errors import Conflict, NotFound
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.access import own_mailbox
from deftmail.mailboxes.models import MailUser
from deftmail.tenants.actor import Actor
from deftmail.tenants.guards import signed_in
from deftmail.tenants.policies import Action
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
    if mailbox.status == MailUser.Status.DISABLED:
        raise MailboxDisabled
    if mailbox.synced_at is None:
        raise MailboxNotReady(retry_after=5)
    try:
        access = engine().jmap_access(mailbox.email)
    except EngineError as error:
        raise MailAway(retry_after=5) from error
    return Mail(actor, mailbox, MailAccount(access))


def mail_view(view: Callable[..., HttpResponseBase] | None = None, *, limit: str = "webmail") -> Callable[..., Any]:
    """Guard a view `view(request, mail, …)`. What the engine answers becomes a refusal with a way on."""

    def decorate(inner: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        @functools.wraps(inner)
        def opened(request: HttpRequest, actor: Actor, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                return inner(request, open_mail(actor), *args, **kwargs)
            except (JmapNotFound, InvalidId) as error:
                raise NotFound from error
            except JmapError as error:
                if error.temporary:
                    raise MailAway(retry_after=5) from error
                raise Conflict(_("The mail server refused this: %(why)s") % {"why": str(error)}) from error

        return signed_in(Action.MAIL_USE, limit=limit, transaction=False)(opened)

    return decorate(view) if view is not None else decorate
