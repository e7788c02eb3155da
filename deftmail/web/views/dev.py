"""The style guide: every component in every state. Local and test mode only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django import forms
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from deftmail.kit.conf import conf
from deftmail.kit.confirm import ConfirmForm, confirm_page
from deftmail.kit.errors import Refusal, TooManyRequests
from deftmail.kit.htmx import announce, is_fragment, redirect, toast
from deftmail.kit.middleware import limited
from deftmail.web import states
from deftmail.web.errors import PAGES, error_page

View = Callable[..., HttpResponseBase]


def dev_only(view: View) -> View:
    """404 in production."""

    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if conf.is_production:
            raise Http404
        return view(request, *args, **kwargs)

    return inner


class SampleForm(forms.Form):
    """One field of each kind."""

    name = forms.CharField(label="Name", help_text="As colleagues know the person.", max_length=80)
    email = forms.EmailField(label="Recovery address", required=False, help_text="Outside your company's domains.")
    local = forms.SlugField(label="Address", initial="anna")
    password = forms.CharField(
        label="Password",
        min_length=10,
        widget=forms.PasswordInput,
        help_text="At least 10 characters, at most 72 bytes.",
    )
    quota = forms.ChoiceField(label="Storage", choices=[("1", "1 GB"), ("10", "10 GB"), ("50", "50 GB")])
    note = forms.CharField(label="Note", required=False, widget=forms.Textarea(attrs={"rows": 3}))
    incoming = forms.ChoiceField(
        label="While disabled, incoming mail is",
        choices=[("keep", "kept for later"), ("refuse", "refused")],
        widget=forms.RadioSelect,
    )
    agree = forms.BooleanField(label="I accept the terms", help_text="Both texts are short.")


@require_safe
@dev_only
@limited("page")
def guide(request: HttpRequest) -> HttpResponse:
    """All components on one page."""
    wrong = SampleForm({"name": "", "email": "anna@", "local": "anna k", "password": "short", "quota": "1"})
    now = timezone.now()
    context = {
        "form": SampleForm(),
        "wrong": wrong,
        "states": states.STATES,
        "times": [
            now,
            now - timedelta(minutes=7),
            now - timedelta(hours=5),
            now - timedelta(days=3),
            now - timedelta(days=400),
        ],
        "page": Paginator(range(1, 236), 50).page(2),
        "rows": ROWS,
        "section": "domains",
        "company_name": "Acme",
        "gb": 1024**3,
        "errors": sorted(PAGES),
    }
    return render(request, "dev/ui.html", context)


ROWS = [
    {"name": "acme.test", "status": "active", "mailboxes": 12, "size": 3 * 1024**3, "age": 0},
    {"name": "acme-mail.test", "status": "pending", "mailboxes": 0, "size": 0, "age": 2},
    {
        "name": "müller-söhne-gesellschaft-für-beispiele.test",
        "status": "degraded",
        "mailboxes": 4,
        "size": 48_000_000,
        "age": 40,
    },
]


@require_safe
@dev_only
@limited("page")
def mail(request: HttpRequest) -> HttpResponse:
    """The webmail's shell with made-up conversations."""
    pane = request.GET.get("pane", "list")
    here = reverse("web:dev_mail")
    context = {
        "pane": pane if pane in ("folders", "list", "reading") else "list",
        "list_url": here,
        "folders_url": here + "?pane=folders",
        "reading_url": here + "?pane=reading",
        "folder_name": "Inbox",
        "now": timezone.now(),
        "gb": 1024**3,
    }
    return render(request, "dev/mail.html", context)


class SignInForm(forms.Form):
    """As much of a sign-in as the card needs to be looked at."""

    email = forms.EmailField(label="Email")
    password = forms.CharField(label="Password", widget=forms.PasswordInput)
    remember = forms.BooleanField(label="Stay signed in on this device", required=False)


@require_safe
@dev_only
@limited("page")
def card(request: HttpRequest) -> HttpResponse:
    """The public card, as sign-in and sign-up use it."""
    return render(request, "dev/card.html", {"form": SignInForm()})


@require_POST
@dev_only
@limited("write")
def act(request: HttpRequest, name: str) -> HttpResponseBase:
    """What the guide's buttons do: toast, undo, fragment, refusal."""
    if name == "toast":
        toast(request, "Moved to Archive", undo_url=reverse("web:dev_act", args=["undo"]))
    elif name == "undo":
        toast(request, "Moved back to Inbox")
    elif name == "fault":
        raise TooManyRequests(retry_after=30)
    elif name == "refuse":
        raise Refusal("The domain still holds 3 mailboxes. Delete or move them first.")
    elif name == "form":
        form = SampleForm(request.POST)
        if is_fragment(request):
            return render(request, "dev/_form.html", {"form": form}, status=422 if form.errors else 200)
    if not is_fragment(request):
        return redirect(request, "web:dev_ui")
    response = render(request, "dev/_fragment.html", {"when": timezone.now()})
    announce(response, "Refreshed")
    return response


@dev_only
@limited("page")
def confirm(request: HttpRequest) -> HttpResponseBase:
    """The typed confirmation."""
    form = ConfirmForm(request.POST or None, phrase="acme.test")
    if request.method == "POST" and form.is_valid():
        toast(request, "acme.test was deleted", kind="success")
        return redirect(request, "web:dev_ui")
    return confirm_page(
        request,
        form,
        title="Delete acme.test",
        submit="Delete domain",
        cancel_url=reverse("web:dev_ui"),
        lines=[
            "Its DKIM keys and routes leave the mail servers at once.",
            "Its 3 mailboxes and all their mail are destroyed.",
        ],
    )


@require_safe
@dev_only
@limited("page")
def error(request: HttpRequest, status: int) -> HttpResponse:
    """An error page to look at."""
    return error_page(request, status)
