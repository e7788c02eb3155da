"""Sign-up, sign-in, account and company pages.

Of allauth only the flows named below are routed; what is not listed (its own sign-up, its addresses) does not exist.
"""

from django.urls import include, path, re_path

from deftmail.tenants.views import account, company, people, signin, signup

# Names allauth looks up itself, so they stand in no namespace.
sign_in_urls = [
    path("signin", signin.login, name="account_login"),
    path("signout", signin.logout, name="account_logout"),
    path("account/closed", signin.account_inactive, name="account_inactive"),
    path("account/confirm-password", signin.reauthenticate, name="account_reauthenticate"),
    path("account/password", account.change_password, name="account_change_password"),
    path("password/reset", signin.password_reset, name="account_reset_password"),
    path("password/reset/sent", signin.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[0-9A-Za-z-]{1,200})$",
        signin.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("password/reset/done", signin.password_reset_from_key_done, name="account_reset_password_from_key_done"),
]

company_urls = [
    path("signup", signup.signup, name="signup"),
    path("signup/sent", signup.signup_sent, name="signup_sent"),
    path("signup/again", signup.signup_again, name="signup_again"),
    path("signup/confirm/<slug:token>", signup.signup_confirm, name="signup_confirm"),
    path("account", account.account, name="account"),
    path("account/recovery", account.recovery, name="recovery"),
    path("account/email", account.email, name="email"),
    path("account/forget/<slug:purpose>", account.forget, name="forget_pending"),
    path("account/sessions/end", account.end_sessions, name="end_sessions"),
    path("account/address/<str:token>", account.address_confirm, name="address_confirm"),
    path("people", people.people, name="people"),
    path("people/<uuid:member_id>", people.member, name="member"),
    path("people/<uuid:member_id>/signout", people.sign_out, name="member_sign_out"),
    path("settings", company.settings, name="settings"),
    path("settings/api-keys", company.apikeys, name="apikeys"),
    path("settings/api-keys/<uuid:key_id>/revoke", company.revoke_apikey, name="apikey_revoke"),
    path("logs", company.logs, name="logs"),
]

urlpatterns = [path("", include(sign_in_urls)), path("", include((company_urls, "tenants")))]
