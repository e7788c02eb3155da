"""Forms of the sending pages. What may not be is decided in the actions; these hold what was typed."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

TEXT = 2000
"""Characters of a reason, an answer, an appeal."""
MOST = 10_000_000


def text_field(label: Any, help_text: Any = "", *, required: bool = True) -> forms.CharField:
    """A few sentences for another person to read."""
    return forms.CharField(
        label=label,
        help_text=help_text,
        required=required,
        max_length=TEXT,
        widget=forms.Textarea(attrs={"rows": 4}),
        error_messages={"required": _("Say why: a person reads it.")},
    )


class AppealForm(forms.Form):
    """Why a block should be lifted."""

    text = text_field(
        _("What happened, and what you have done about it"),
        _("For example: who sent the mail, to whom, and whether the password was changed."),
    )


class MoreForm(forms.Form):
    """How much more, and for what."""

    mailbox = forms.ChoiceField(label=_("For"), required=False)
    wanted = forms.IntegerField(
        label=_("Recipients a day"),
        required=False,
        min_value=1,
        max_value=MOST,
        localize=False,
        help_text=_("How many one mailbox needs in 24 hours. Leave it empty when you cannot say."),
    )
    text = text_field(
        _("What you send, and to whom"),
        _("For example: a newsletter to 400 members who signed up on our site."),
    )

    def __init__(self, *args: Any, mailboxes: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["mailbox"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", _("The whole company")), *mailboxes]
