"""One's own folders: list (the first pane of a narrow screen), make, rename, delete, empty."""

from __future__ import annotations

from django import forms
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_safe

from deftmail.jmap import Folder
from deftmail.jmap.errors import SetFailed
from deftmail.kit.confirm import ConfirmForm, confirm_page
from deftmail.kit.errors import NotFound
from deftmail.kit.htmx import redirect, toast
from deftmail.webmail import listing, sending
from deftmail.webmail.access import Mail, mail_view


class FolderForm(forms.Form):
    """The name of a folder."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=100, strip=True)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not name.isprintable() or "/" in name:
            raise forms.ValidationError(_("A name has no slash and no control characters."))
        return name


@mail_view
@require_safe
def folder_list(request: HttpRequest, mail: Mail) -> HttpResponseBase:
    """The folder list as a page of its own, for narrow screens."""
    folders = mail.account.folders(quota=True)
    context = {
        "folders": listing.links(folders),
        "folder_name": _("Folders"),
        "list_url": reverse("webmail:folder", args=["inbox"]),
        "quota": folders.quota,
        "sent": sending.meter_of(mail),
        "rows": [],
        "pane": "folders",
    }
    return render(request, "webmail/mail.html", context)


@mail_view
@require_http_methods(["GET", "HEAD", "POST"])
def create(request: HttpRequest, mail: Mail) -> HttpResponseBase:
    """A new folder."""
    form = FolderForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            folder_id = mail.account.create_folder(form.cleaned_data["name"])
        except SetFailed:
            form.add_error("name", _("There is a folder of this name already."))
        else:
            toast(request, _("Folder created"))
            return redirect(request, "webmail:folder", folder_id)
    return _form(request, mail, form, _("New folder"), _("Create folder"))


@mail_view
@require_http_methods(["GET", "HEAD", "POST"])
def rename(request: HttpRequest, mail: Mail, folder_id: str) -> HttpResponseBase:
    """Another name for a folder of one's own."""
    folder = _own(mail, folder_id)
    form = FolderForm(request.POST if request.method == "POST" else None, initial={"name": folder.name})
    if request.method == "POST" and form.is_valid():
        try:
            mail.account.rename_folder(folder.id, form.cleaned_data["name"])
        except SetFailed:
            form.add_error("name", _("There is a folder of this name already."))
        else:
            toast(request, _("Folder renamed"))
            return redirect(request, "webmail:folder", folder.id)
    return _form(request, mail, form, _("Rename folder"), _("Rename"))


@mail_view
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, mail: Mail, folder_id: str) -> HttpResponseBase:
    """Delete a folder; its mail goes to Trash."""
    folder = _own(mail, folder_id)
    form = forms.Form(request.POST if request.method == "POST" else None)
    if form.is_valid():
        mail.account.delete_folder(folder.id)
        toast(request, _("Folder deleted; its mail is in Trash"))
        return redirect(request, "webmail:folder", "inbox")
    return confirm_page(
        request,
        form,
        title=_("Delete the folder %(name)s") % {"name": folder.name},
        lines=[_("Its messages move to Trash.")],
        submit=_("Delete folder"),
        layout="layouts/public.html",
        cancel_url=reverse("webmail:folder", args=[folder.id]),
    )


@mail_view
@require_http_methods(["GET", "HEAD", "POST"])
def empty(request: HttpRequest, mail: Mail, folder: str) -> HttpResponseBase:
    """Destroy what lies in Trash or Junk: the one act without undo, so it is confirmed by typing."""
    if folder not in ("trash", "junk"):
        raise NotFound
    found = mail.account.folders().role(folder)
    if found is None:
        raise NotFound
    name, n = listing.folder_name(found), found.total_emails
    form = ConfirmForm(request.POST or None, phrase=name)
    if request.method == "POST" and form.is_valid():
        mail.account.empty_folder(found.id)
        toast(request, _("%(folder)s is empty") % {"folder": name})
        return redirect(request, "webmail:folder", folder)
    return confirm_page(
        request,
        form,
        title=_("Empty %(folder)s") % {"folder": name},
        lines=[
            ngettext("%(n)d message is destroyed for good.", "%(n)d messages are destroyed for good.", n) % {"n": n}
        ],
        submit=ngettext("Destroy %(n)d message", "Destroy %(n)d messages", n) % {"n": n},
        layout="layouts/public.html",
        cancel_url=reverse("webmail:folder", args=[folder]),
    )


def _own(mail: Mail, folder_id: str) -> Folder:
    """A folder people may change: not one of the roles every mailbox needs."""
    folder = mail.account.folders().get(folder_id)
    if folder is None or folder.role:
        raise NotFound
    return folder


def _form(request: HttpRequest, mail: Mail, form: FolderForm, title: str, submit: str) -> HttpResponseBase:
    folders = mail.account.folders(quota=True)
    context = {
        "form": form,
        "title": title,
        "submit": submit,
        "folders": listing.links(folders),
        "quota": folders.quota,
        "sent": sending.meter_of(mail),
        "folder_name": title,
        "list_url": reverse("webmail:folder", args=["inbox"]),
        "pane": "reading",
        "wide": True,
    }
    return render(request, "webmail/folder_form.html", context, status=422 if form.errors else 200)
