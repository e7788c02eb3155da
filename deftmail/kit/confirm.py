"""Asking before an act: by typing where it destroys for good, by its button alone where it does not.

A dialog where scripts run, a page of its own where they do not.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from deftmail.kit.htmx import is_fragment


class ConfirmForm(forms.Form):
    """One field that must hold `phrase` (case and spaces around it do not count).

    also: another spelling that counts: the A-labels of an international name
    """

    confirm = forms.CharField(max_length=255)

    def __init__(self, *args: Any, phrase: str, also: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.phrase = phrase
        self._spellings = {unicodedata.normalize("NFC", each).casefold() for each in (phrase, also or phrase)}
        field = self.fields["confirm"]
        field.label = _("Type %(phrase)s to confirm") % {"phrase": phrase}
        field.error_messages["required"] = _("Type %(phrase)s here to confirm.") % {"phrase": phrase}
        field.widget.attrs.update(
            {
                "autocomplete": "off",
                "autocapitalize": "off",
                "spellcheck": "false",
                "data-confirm-phrase": phrase,
                "data-confirm-also": also or phrase,
            }
        )

    def clean_confirm(self) -> str:
        """The phrase, or an error that names it."""
        typed: str = self.cleaned_data["confirm"]
        if unicodedata.normalize("NFC", typed.strip()).casefold() not in self._spellings:
            raise forms.ValidationError(_("This is not %(phrase)s. Nothing was changed.") % {"phrase": self.phrase})
        return typed


def confirm_page(
    request: HttpRequest,
    form: forms.Form,
    *,
    title: str | Promise,
    submit: str | Promise,
    cancel_url: str,
    lines: Sequence[str | Promise] = (),
    layout: str = "layouts/console.html",
    action: str = "",
) -> HttpResponse:
    """The question: what will happen (`lines`), the form, the way back. 422 when what was typed is wrong.

    form: a ConfirmForm, or a plain `forms.Form` without fields where nothing is destroyed
    """
    context = {
        "form": form,
        "title": title,
        "submit": submit,
        "cancel_url": cancel_url,
        "lines": lines,
        "layout": layout,
        "action": action or request.get_full_path(),
    }
    template = "ui/confirm_dialog.html" if is_fragment(request) else "ui/confirm_page.html"
    return render(request, template, context, status=422 if form.is_bound and form.errors else 200)
