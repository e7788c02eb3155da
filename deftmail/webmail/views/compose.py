"""Writing: open, save, attach, send. A message is sent once, whatever is clicked twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args
from urllib.parse import urlsplit

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from deftmail.jmap import Sent
from deftmail.jmap.errors import InvalidMessage, OverQuota, SendRefused, SendUnknown
from deftmail.jmap.errors import TooLarge as JmapTooLarge
from deftmail.kit.errors import Invalid, NotFound
from deftmail.kit.htmx import is_fragment, redirect, toast, trigger
from deftmail.kit.problems import BadRequest
from deftmail.mailboxes.models import MailUser
from deftmail.mailproto.replies import ReplyMode
from deftmail.tenants.policies import Action
from deftmail.webmail import bodies, composing, listing, sending, sendonce, undo
from deftmail.webmail.access import Mail, mail_view
from deftmail.webmail.composing import Attached, ComposeForm, Start
from deftmail.webmail.errors import TooLarge
from deftmail.webmail.views.acts import own_page, where_to


@mail_view(limit="webmail")
@require_http_methods(["GET", "HEAD", "POST"])
def compose(request: HttpRequest, mail: Mail) -> HttpResponseBase:
    """The composer; a POST sends when `do=send`, and saves when `do=save` (the way without scripts).

    Raises BadRequest for any other: what is sent cannot be called back, so it is never what is left over.
    """
    if request.method != "POST":
        start = _start(request, mail)
        return _show(request, mail, ComposeForm(initial=start.initial), start.attached)
    do = request.POST.get("do")
    if do not in ("send", "save"):
        raise BadRequest
    form = ComposeForm(request.POST)
    attached = _attached(request, mail)
    if do == "save":
        return _save_and_leave(request, mail, form, attached)
    if form.is_valid():
        message = composing.outgoing(mail, form, attached, complete=True)
        sent = _send(request, mail, form, message) if message is not None else None
        if sent is not None:
            if sent.refused:
                toast(request, not_taken(sent.refused), kind="error")
            else:
                toast(request, _("Message sent"), kind="success")
            return _closed(request)
    return _show(request, mail, form, attached, status=422)


def _send(request: HttpRequest, mail: Mail, form: ComposeForm, message: Any) -> Sent | None:
    """Hand the message over. A refusal stays on the form and the draft in its folder; nothing typed is lost."""
    data = form.cleaned_data
    if why := sending.why_not(mail, (*message.to, *message.cc, *message.bcc)):
        # Answered here, before the engine tries: the words are whole, and the draft is where it can be found.
        draft = mail.account.save_draft(message, replaces=data["draft_id"] or None)
        _keep_draft(request, form, draft.id)
        form.held_by_limits = True
        form.add_error(None, _("Not sent: %(why)s") % {"why": why} + " " + _("Your message is kept in Drafts."))
        return None
    try:
        with sendonce.alone(message.message_id):
            answers, forwards = composing.origin_of(mail, form)
            sent = mail.account.send(message, replaces=data["draft_id"] or None, answers=answers, forwards=forwards)
            same = not sent.already or composing.says_the_same(mail.account.email(sent.email_id), message)
    except InvalidMessage as error:
        words = {
            "noRecipients": _("Say whom it goes to."),
            "tooMany": _("That is more recipients than one message may have."),
            "address": _("An address is not complete."),
        }
        form.add_error(error.field if error.field in form.fields else "to", words.get(error.code, str(error)))
    except SendRefused as error:
        _keep_draft(request, form, error.draft_id)
        form.add_error("to" if error.kind == "recipients" else None, refused(error))
    except SendUnknown as error:
        _keep_draft(request, form, error.draft_id)
        form.add_error(
            None, _("The connection broke while sending. Send again: it is checked first, so nobody gets it twice.")
        )
    except OverQuota:
        form.add_error(None, _("Your mailbox is full: the sent copy has no place. Delete something and send again."))
    except JmapTooLarge:
        form.add_error(None, str(TooLarge.message))
    else:
        if same:
            return sent
        # Back to the form after sending, and something else written: a second letter, not a second click.
        _change(form, message_id=composing.fresh_id(mail), draft_id="")
        form.add_error(
            None, _("What was written here before has been sent. Press Send once more to send this as a new message.")
        )
    return None


def not_taken(refused: Mapping[str, str]) -> str:
    """Whom a message that is in Sent did not go to, and why: nobody else will tell, no bounce comes."""
    who = "; ".join(f"{to} ({why.rstrip('.')})" if why else to for to, why in refused.items())
    return _("Sent, but not to %(who)s: the mail server did not accept it for them. The message is in Sent.") % {
        "who": who
    }


def refused(error: SendRefused) -> str:
    """Why a message did not leave and what to do, for the line beside Send."""
    kept = _("Your message is kept in Drafts.")
    if error.kind == "recipients":
        # Of several recipients the server tells the words for the last one only: they may be missing.
        who = ", ".join(error.recipients) or error.sentence
        if who:
            return _("Not sent: the mail server does not accept %(who)s.") % {"who": who.rstrip(".")} + " " + kept
        return (
            _("Not sent: the mail server does not accept one of the recipients, or nothing from you now. Try fewer.")
            + " "
            + kept
        )
    if error.kind == "too_large":
        return str(TooLarge.message)
    if error.kind == "too_many":
        return _("Not sent: that is more recipients than one message may have.") + " " + kept
    if error.sentence:
        return _("Not sent: %(why)s") % {"why": error.sentence.rstrip(".") + "."} + " " + kept
    return _("Sending does not work at the moment. Try again shortly.") + " " + kept


def _keep_draft(request: HttpRequest, form: ComposeForm, draft_id: str | None) -> None:
    if draft_id:
        _change(form, draft_id=draft_id)


def _change(form: ComposeForm, **values: str) -> None:
    """What the form that is shown again holds in place of what came."""
    if isinstance(form.data, QueryDict):
        data = form.data.copy()
        for name, value in values.items():
            data[name] = value
        form.data = data


def _save_and_leave(request: HttpRequest, mail: Mail, form: ComposeForm, attached: list[Attached]) -> HttpResponseBase:
    if not form.is_valid():
        return _show(request, mail, form, attached, status=422)
    message = composing.outgoing(mail, form, attached, complete=False)
    if message is not None:
        mail.account.save_draft(message, replaces=form.cleaned_data["draft_id"] or None)
        toast(request, _("Draft saved"))
    return redirect(request, where_to(request))


@mail_view
@require_POST
def save(request: HttpRequest, mail: Mail) -> HttpResponseBase:
    """Autosave. Answers only the draft's id: the fields belong to whoever is typing in them."""
    form = ComposeForm(request.POST)
    if not form.is_valid():
        return JsonResponse({"error": _("Not saved: something is too long.")}, status=422)
    message = composing.outgoing(mail, form, _attached(request, mail), complete=False)
    if message is None:
        return JsonResponse({"error": _("Not saved.")}, status=422)
    draft = mail.account.save_draft(message, replaces=form.cleaned_data["draft_id"] or None)
    return JsonResponse({"draft_id": draft.id, "message_id": draft.message_id, "said": _("Draft saved")})


@mail_view
@require_POST
def discard(request: HttpRequest, mail: Mail) -> HttpResponseBase:
    """Throw the draft away: into Trash, from where it can come back."""
    if draft_id := request.POST.get("draft_id", ""):
        before = mail.account.states([draft_id])
        done = mail.account.trash(before).done
        if done:  # else it was sent or thrown away elsewhere meanwhile
            step = undo.back_to(before, done, moved=True, touched=())
            undo_url = reverse("webmail:undo", args=[undo.remember(mail.actor.user_id, step)])
            toast(request, _("Draft moved to Trash"), undo_url=undo_url)
    return _closed(request)


def _closed(request: HttpRequest) -> HttpResponseBase:
    """Without the composer: what it floats over goes on; where it is the page, back to where one came from."""
    seen = urlsplit(request.headers.get("HX-Current-URL", "")).path
    if not is_fragment(request) or seen == reverse("webmail:compose"):
        return redirect(request, where_to(request))
    response = HttpResponse("")
    trigger(response, "deft:mail-changed")
    return response


@mail_view
@require_POST
def upload(request: HttpRequest, mail: Mail) -> HttpResponseBase:
    """One file into the engine; answers its line for the composer."""
    file = request.FILES.get("file")
    if file is None:
        raise Invalid(_("Choose a file."), field="file")
    attached = _tokens(request, mail)
    if composing.total(attached) + (file.size or 0) > composing.MAX_ATTACHMENTS or len(attached) >= composing.MAX_FILES:
        raise TooLarge
    item = composing.upload(mail.account, file)
    return render(request, "webmail/_file.html", {"file": item, "token": item.token(mail)})


def _tokens(request: HttpRequest, mail: Mail) -> list[Attached]:
    try:
        return [Attached.read(mail, token) for token in request.POST.getlist("attached")[: composing.MAX_FILES + 1]]
    except forms.ValidationError as error:
        raise Invalid(error.messages[0]) from error


def _attached(request: HttpRequest, mail: Mail) -> list[Attached]:
    """Files of the form: those already uploaded, and those a browser without scripts sends along."""
    attached = _tokens(request, mail)
    files = request.FILES.getlist("file")
    if (
        composing.total(attached) + sum(file.size or 0 for file in files) > composing.MAX_ATTACHMENTS
        or len(attached) + len(files) > composing.MAX_FILES
    ):
        raise TooLarge
    return attached + [composing.upload(mail.account, file) for file in files]


def _start(request: HttpRequest, mail: Mail) -> Start:
    if email_id := request.GET.get("forward", ""):
        return composing.forward(mail, bodies.readable(mail.account.email(email_id), mail.account))
    if email_id := request.GET.get("draft", ""):
        draft = bodies.readable(mail.account.email(email_id), mail.account)
        if not draft.draft:  # what is saved replaces it: only a draft may be
            raise NotFound
        return composing.resume(mail, draft)
    mode: ReplyMode
    for mode in get_args(ReplyMode):
        if email_id := request.GET.get(mode, ""):
            return composing.answer(mail, bodies.readable(mail.account.email(email_id), mail.account), mode)
    return composing.new(mail, request.GET.get("to", ""), request.GET.get("subject", ""))


def _show(
    request: HttpRequest, mail: Mail, form: ComposeForm, attached: list[Attached], *, status: int = 200
) -> HttpResponse:
    data = form.data if form.is_bound else form.initial
    context = {
        "form": form,
        "files": [(item, item.token(mail)) for item in attached],
        "max_bytes": composing.MAX_ATTACHMENTS,
        "hidden": {
            name: data.get(name, "")
            for name in ("message_id", "draft_id", "answers", "forwards", "in_reply_to", "references", "resumed")
        },
        "next": own_page(request.POST.get("next") or request.GET.get("next", ""))
        or reverse("webmail:folder", args=["inbox"]),
        "show_cc": bool(data.get("cc") or data.get("bcc")),
        "stopped": mail.mailbox.status == MailUser.Status.SUSPENDED,
        "held": sending.why_not(mail) if request.method != "POST" else "",
        "may_look": mail.actor.can(Action.CONSOLE_VIEW),
        "title": form["subject"].value() or _("New message"),
    }
    if is_fragment(request):
        return render(request, "webmail/_composer.html", context, status=status)
    folders = mail.account.folders(quota=True)
    context |= {
        "folders": listing.links(folders),
        "quota": folders.quota,
        "sent": sending.meter_of(mail),
        "folder_name": context["title"],
        "list_url": reverse("webmail:folder", args=["inbox"]),
        "pane": "reading",
        "wide": True,
    }
    return render(request, "webmail/compose.html", context, status=status)
