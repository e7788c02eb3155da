"""Forms of the domain pages. What may not be is decided in the actions; these hold what was typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from deftmail.kit.confirm import ConfirmForm


class AddDomainForm(forms.Form):
    """The name to add."""

    domain = forms.CharField(
        label=_("Domain"),
        max_length=300,
        help_text=_("A domain you own. A subdomain, as in shop.example.com, is a domain of its own."),
        error_messages={"required": _("Enter a domain, as in example.com.")},
        widget=forms.TextInput(
            attrs={
                "autocomplete": "off",
                "autocapitalize": "off",
                "spellcheck": "false",
                "inputmode": "url",
                "placeholder": "example.com",
            }
        ),
    )


class DeleteDomainForm(ConfirmForm):
    """The domain's name by typing, and a tick at each mailbox that goes with it."""

    def __init__(self, *args: Any, held: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if held:
            self.fields["addresses"] = forms.MultipleChoiceField(
                label=_("Delete these mailboxes with all their mail"),
                help_text=_("Tick each one. A domain that still holds mailboxes stays."),
                choices=[(address, address) for address in held],
                widget=forms.CheckboxSelectMultiple,
                required=False,  # the action refuses, and says which are missing
            )
