"""Forms of the mailbox pages. What may not be is decided in the actions; these hold what was typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from deftmail.domains.models import Domain
from deftmail.mailboxes.pages import suggested_password
from deftmail.tenants.passwords import StrengthValidator

_PLAIN = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
DISABLE_CHOICES = (
    ("keep", _("Keep incoming mail: it waits here until the mailbox is enabled again")),
    ("refuse", _("Refuse incoming mail: senders are told that the mailbox no longer accepts mail")),
)


class PasswordForm(forms.Form):
    """A new password of a mailbox. What was typed is never sent back to the page, unless it is what the page suggested:
    that stands there anyway, and stays the same while the form is put right."""

    password = forms.CharField(
        label=_("Password"),
        max_length=1000,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        error_messages={"required": _("Enter a password.")},
    )
    suggestion = forms.CharField(
        required=False, max_length=100, widget=forms.HiddenInput, initial=suggested_password, localize=False
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        widget = self.fields["password"].widget
        assert isinstance(widget, forms.PasswordInput)
        # From the data: a bound field remembers the hint it was made with, and the hints are written below.
        typed, suggested = (self.data.get(self.add_prefix(name)) for name in ("password", "suggestion"))
        widget.render_value = bool(typed) and typed == suggested
        self.fields["password"].help_text = StrengthValidator().get_help_text()


class CreateForm(PasswordForm):
    """A new mailbox: the part before the @, one of the proven domains, and the rest."""

    field_order = ("email", "domain", "display_name", "password", "quota_mb")
    email = forms.CharField(
        label=_("Address"),
        max_length=320,
        help_text=_("The part before the @: letters, digits, dots, hyphens and underscores."),
        error_messages={"required": _("Enter the part before the @.")},
        widget=forms.TextInput(attrs={**_PLAIN, "inputmode": "email"}),
    )
    domain = forms.ChoiceField(label=_("Domain"))
    display_name = forms.CharField(
        label=_("Name"),
        max_length=255,
        required=False,
        help_text=_("The name recipients see beside the address."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    quota_mb = forms.IntegerField(label=_("Storage in MB"), required=False, min_value=1, localize=False)

    def __init__(
        self, *args: Any, domains: Sequence[Domain], plan_quota_mb: int | None, known: Sequence[str] = (), **kwargs: Any
    ) -> None:
        """`known`: addresses with which people of the company sign in already and that can become mailboxes here."""
        super().__init__(*args, **kwargs)
        self.known = frozenset(known)
        field = self.fields["domain"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(domain.domain, domain.domain_unicode) for domain in domains]
        self.fields["quota_mb"].help_text = _quota_hint(plan_quota_mb)
        if known:
            # Such a mailbox shares the password its person has; for all others the action says that one is due.
            self.fields["password"].required = False
            self.fields["password"].help_text = _(
                "Leave it empty for %(addresses)s: who signs in with an address already keeps his password, and "
                "what is typed here is not used. %(rules)s"
            ) % {"addresses": ", ".join(known), "rules": StrengthValidator().get_help_text()}

    @property
    def address(self) -> str:
        """The whole address; somebody who typed one with its @ means that one."""
        typed: str = self.cleaned_data["email"].strip()
        return typed if "@" in typed else f"{typed}@{self.cleaned_data['domain']}"

    @property
    def unjudged_password(self) -> str:
        """What was typed as the password and nobody has looked at, because something else was refused first; "" where
        nothing was typed, or where it will not count."""
        joins = {"email", "domain"} <= self.cleaned_data.keys() and self.address in self.known
        return "" if "password" in self.errors or joins else self.cleaned_data["password"]


class ChangeForm(forms.Form):
    """Name and size."""

    display_name = CreateForm.base_fields["display_name"]
    quota_mb = CreateForm.base_fields["quota_mb"]

    def __init__(self, *args: Any, plan_quota_mb: int | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["quota_mb"].help_text = _quota_hint(plan_quota_mb)


class DisableForm(forms.Form):
    """What becomes of incoming mail while a mailbox is disabled."""

    incoming = forms.ChoiceField(
        label=_("Mail that arrives meanwhile"), choices=DISABLE_CHOICES, initial="keep", widget=forms.RadioSelect
    )


def _quota_hint(plan_quota_mb: int | None) -> str:
    if plan_quota_mb is None:
        return str(_("Empty: no limit."))
    return str(_("At most %(limit)s MB, your plan's storage, which an empty field takes.")) % {"limit": plan_quota_mb}
