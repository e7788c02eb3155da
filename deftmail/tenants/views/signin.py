"""Sign-in, sign-out, reset and re-authentication: allauth's flows behind our pages and limits."""

from __future__ import annotations

from typing import Any

from allauth.account import views as allauth_views
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.cache import never_cache

from deftmail.kit.errors import Refusal
from deftmail.kit.htmx import redirect
from deftmail.kit.middleware import limited


class _Answers:
    """A form that was refused answers 422, or 429 with Retry-After where a limit was reached."""

    def form_invalid(self, form: Any) -> HttpResponse:
        refusal = getattr(form, "refusal", None)
        response: HttpResponse = super().form_invalid(form)  # type: ignore[misc]
        response.status_code = refusal.status if refusal is not None else 422
        if refusal is not None and refusal.retry_after:
            response["Retry-After"] = str(refusal.retry_after)
        return response


class _Saves:
    """A refusal of what the form does is shown on the form."""

    def form_valid(self, form: Any) -> HttpResponseBase:
        try:
            return super().form_valid(form)  # type: ignore[misc,no-any-return]
        except Refusal as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
            form.refusal = refusal
            return self.form_invalid(form)  # type: ignore[attr-defined,no-any-return]


class SignIn(_Answers, allauth_views.LoginView):
    """One page for everybody. `?login=` fills in the address: of a link that says as whom to sign in."""

    def get_initial(self) -> dict[str, Any]:
        return {**super().get_initial(), "login": self.request.GET.get("login", "")}


class Reauthenticate(_Answers, allauth_views.ReauthenticateView):
    """The password once more, before what is sensitive."""


class ResetPassword(_Saves, _Answers, allauth_views.PasswordResetView):
    """Ask for a reset link."""


class NewPassword(_Saves, _Answers, allauth_views.PasswordResetFromKeyView):
    """Behind the link: choose a new password."""

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        if context.get("token_fail"):
            kwargs["status"] = 410
        response: HttpResponse = super().render_to_response(context, **kwargs)
        return response


login = limited("page", write="signin")(SignIn.as_view())
logout = limited("page")(allauth_views.LogoutView.as_view())
reauthenticate = limited("page", write="signin")(never_cache(Reauthenticate.as_view()))
password_reset = limited("page", write="mail_link")(ResetPassword.as_view())
password_reset_done = limited("page")(allauth_views.PasswordResetDoneView.as_view())
password_reset_from_key = limited("page", write="signin")(never_cache(NewPassword.as_view()))
password_reset_from_key_done = limited("page")(allauth_views.PasswordResetFromKeyDoneView.as_view())


@limited("page")
def account_inactive(request: HttpRequest) -> HttpResponseBase:
    """allauth leads here by name; what it would say is said at sign-in itself."""
    return redirect(request, "account_login")
