"""Forms of sign-up, sign-in and the account. What may not be is decided in the actions; these hold what was typed."""

from __future__ import annotations

from typing import Any

from allauth.account.forms import LoginForm
from allauth.account.forms import ReauthenticateForm as AllauthReauthenticateForm
from allauth.account.internal import flows
from django import forms
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import lazy
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from deftmail.kit import ratelimit
from deftmail.kit.errors import TooManyRequests
from deftmail.kit.jobs import enqueue
from deftmail.kit.net import client_ip
from deftmail.tenants.addresses import as_typed
from deftmail.tenants.models import Role, Scope
from deftmail.tenants.passwords import StrengthValidator
from deftmail.tenants.timezones import zones


def _accept_label() -> str:
    return format_html(
        gettext("I accept the {terms} and the {privacy}"),
        terms=_tab(reverse("web:terms"), gettext("terms")),
        privacy=_tab(reverse("web:privacy"), gettext("privacy policy")),
    )


def _tab(url: str, text: str) -> str:
    # In a tab of its own: what was typed in the form stays.
    return format_html('<a href="{}" target="_blank">{}</a>', url, text)


def email_field(**options: Any) -> forms.EmailField:
    """An address as it is typed."""
    options.setdefault("label", _("Email address"))
    return forms.EmailField(
        max_length=254,
        error_messages={
            "required": _("Enter an email address."),
            "invalid": _("Enter an email address, as in name@example.com."),
        },
        widget=forms.EmailInput(attrs={"autocomplete": "email", "autocapitalize": "off", "spellcheck": "false"}),
        **options,
    )


def password_field(label: Any, *, new: bool) -> forms.CharField:
    """A password as it is typed: spaces count, and a new one is explained."""
    return forms.CharField(
        label=label,
        strip=False,
        max_length=1000,
        help_text=lazy(StrengthValidator().get_help_text, str)() if new else "",
        error_messages={"required": _("Enter a password.")},
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password" if new else "current-password"}),
    )


class SignUpForm(forms.Form):
    """A company, its owner, and his yes to the texts."""

    company_name = forms.CharField(
        label=_("Company"),
        max_length=255,
        error_messages={"required": _("Enter your company's name.")},
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )
    name = forms.CharField(
        label=_("Your name"),
        max_length=255,
        error_messages={"required": _("Enter your name.")},
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    email = email_field(help_text=_("You sign in with it. We send a link to it first."))
    password = password_field(_("Password"), new=True)
    accept = forms.BooleanField(
        label=lazy(_accept_label, str)(),
        error_messages={"required": _("Please accept the terms and the privacy policy to go on.")},
    )


class ConfirmSignUpForm(forms.Form):
    """The password of the sign-up, where its link is opened in another browser than the one it was made in."""

    password = password_field(_("Password"), new=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].help_text = _("The one you chose when you signed up.")


class SignInForm(LoginForm):
    """Address and password. `refusal` holds a limit that was reached."""

    refusal: TooManyRequests | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"] = email_field()
        self.fields["login"].widget.attrs["autocomplete"] = "username"
        self.fields["password"] = password_field(_("Password"), new=False)
        self.fields["remember"].label = _("Keep me signed in on this device")

    def clean_login(self) -> str:
        """In the form it is kept."""
        return as_typed(self.cleaned_data["login"])

    def clean(self) -> Any:
        """Compare the password, unless a limit is reached."""
        try:
            return super().clean()
        except TooManyRequests as refusal:
            self.refusal = refusal
            raise forms.ValidationError(str(refusal)) from None


class ResetForm(forms.Form):
    """Whose password? The answer is the same for every address; the job decides who gets a mail."""

    email = email_field()

    def save(self, request: HttpRequest, **_kwargs: Any) -> str:
        """Enqueue the mail. Raises TooManyRequests for one address's mails."""
        from deftmail.tenants.tasks import send_reset_mail

        email = as_typed(self.cleaned_data["email"])
        verdict = ratelimit.hit("mail_link", "reset:" + email)
        if not verdict.allowed:
            raise TooManyRequests(
                _("Several mails went to this address already. Look in its junk folder, or try again later."),
                retry_after=verdict.retry_after,
            )
        enqueue(send_reset_mail, email=email, ip=client_ip(request))
        return email


class NewPasswordForm(forms.Form):
    """The new password behind a reset link."""

    password1 = password_field(_("New password"), new=True)

    def __init__(self, *args: Any, user: Any = None, temp_key: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user, self.temp_key = user, temp_key

    def save(self) -> None:
        """Through allauth's flow, which comes to `AccountAdapter.set_password`. Raises Invalid."""
        flows.password_reset.reset_password(self.user, self.cleaned_data["password1"])


class ReauthenticateForm(AllauthReauthenticateForm):
    """The password once more."""

    refusal: TooManyRequests | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"] = password_field(_("Password"), new=False)

    def clean_password(self) -> str:
        """Compare it, unless a limit is reached."""
        try:
            return str(super().clean_password())
        except TooManyRequests as refusal:
            self.refusal = refusal
            raise forms.ValidationError(str(refusal)) from None


class ChangePasswordForm(forms.Form):
    """The old password and the new."""

    current = password_field(_("Current password"), new=False)
    password = password_field(_("New password"), new=True)


class CompanyForm(forms.Form):
    """The company's name."""

    company_name = forms.CharField(
        label=_("Company name"), max_length=255, error_messages={"required": _("Enter your company's name.")}
    )


class ProfileForm(forms.Form):
    """Name and time zone of a person."""

    name = forms.CharField(label=_("Name"), max_length=255, error_messages={"required": _("Enter your name.")})
    timezone = forms.ChoiceField(label=_("Time zone"), help_text=_("Times are shown in it."))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["timezone"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("UTC", "UTC"), *((zone, zone.replace("_", " ")) for zone in sorted(zones() - {"UTC"}))]


class RecoveryForm(forms.Form):
    """An address outside the company, for the day one cannot sign in."""

    recovery_email = email_field(
        label=_("Recovery address"),
        required=False,
        help_text=_("An address outside your company's domains. Password resets and warnings go to it."),
    )


class EmailForm(forms.Form):
    """A new address to sign in with."""

    email = email_field(label=_("New address"), help_text=_("We send a link to it; it counts once you used the link."))


class RoleForm(forms.Form):
    """What a person may do."""

    role = forms.ChoiceField(label=_("Role"), choices=Role.choices)


class ApiKeyForm(forms.Form):
    """A new API key."""

    NEVER = "never"
    EXPIRY = (("30", _("30 days")), ("90", _("90 days")), ("365", _("One year")), (NEVER, _("Never")))
    name = forms.CharField(
        label=_("Name"),
        max_length=100,
        help_text=_("What will use it, as in “CRM” or “Provisioning script”."),
        error_messages={"required": _("Give the key a name.")},
    )
    scopes = forms.MultipleChoiceField(
        label=_("It may"),
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose what the key may do.")},
    )
    expires = forms.ChoiceField(label=_("Expires after"), choices=EXPIRY, initial="365")
