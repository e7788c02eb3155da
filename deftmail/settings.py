"""Django's settings, made from the typed ones of `deftmail.kit.conf`."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONCE, NONE, SELF
from django.utils.translation import gettext_lazy as _
from psycopg.conninfo import conninfo_to_dict

from deftmail.kit.conf import ROOT, conf
from deftmail.kit.database import CONNECT_TIMEOUT, POOL

SECRET_KEY = conf.secret_key.get_secret_value()
DEBUG = False
_local = not conf.is_production
ALLOWED_HOSTS = [str(urlsplit(conf.base_url).hostname)]
if _local:
    # By number too, but by no other name: a page of the internet whose name is made to point to this machine (DNS
    # rebinding) must not read /dev/outbox, where the links of password resets lie.
    ALLOWED_HOSTS += [".localhost", "127.0.0.1", "[::1]", "testserver"]
CSRF_TRUSTED_ORIGINS = [conf.base_url]

INSTALLED_APPS = [
    "deftmail.kit",
    "deftmail.tenants",
    "deftmail.engine",
    "deftmail.domains",
    "deftmail.mailboxes",
    "deftmail.sending",
    "deftmail.webmail",
    "deftmail.api",
    "deftmail.gate",
    "deftmail.ops",
    "deftmail.web",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",
    "allauth",
    "allauth.account",
    "django_htmx",
    "django_structlog",
    "ninja",
    "procrastinate.contrib.django",
]

MIDDLEWARE = [
    "csp.middleware.CSPMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    # Its `process_view` comes before that of the next: what fails there is counted too, and its body is not parsed.
    "deftmail.kit.middleware.RateLimitMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "deftmail.kit.htmx.ToastMiddleware",
    "deftmail.kit.requestlog.RequestLog",
    "allauth.account.middleware.AccountMiddleware",
    "deftmail.kit.middleware.RefusalMiddleware",
]

ROOT_URLCONF = "deftmail.urls"
ASGI_APPLICATION = "deftmail.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "libraries": {"i18n": "deftmail.web.i18n"},
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "django.template.context_processors.tz",
                "deftmail.kit.context.page",
                "deftmail.tenants.context.company",
            ],
        },
    }
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"


def _database(url: str, **options: Any) -> dict[str, Any]:
    info = conninfo_to_dict(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": info.get("dbname"),
        "USER": info.get("user"),
        "PASSWORD": info.get("password"),
        "HOST": info.get("host"),
        "PORT": str(info.get("port", "")),
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": False,
        "OPTIONS": options,
    }


_app, _system = conf.database_url.get_secret_value(), conf.database_system_url.get_secret_value()
DATABASES = {
    "default": _database(_app, pool=POOL, connect_timeout=CONNECT_TIMEOUT),
    "system": _database(_system, pool={**POOL, "max_size": 4, "min_size": 0}, connect_timeout=CONNECT_TIMEOUT),
}
if conf.database_owner_url:
    # lock_timeout: a migration that waits for a busy table gives up instead of stopping everybody behind it.
    DATABASES["owner"] = _database(conf.database_owner_url.get_secret_value(), options="-c lock_timeout=5s")

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": conf.cache_url,
        "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},  # a cache that is away may cost little
    }
}
SESSION_ENGINE = "deftmail.kit.sessions"
SESSION_COOKIE_NAME = "dm_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_COOKIE_NAME = "dm_csrf"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "deftmail.kit.views.csrf_failure"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = conf.is_production
SECURE_HSTS_SECONDS = 63072000 if conf.is_production else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = conf.is_production
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if conf.trusted_proxies else None
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# What of a form is no file: the longest letter (webmail.composing.MAX_BODY) twice, as text and as HTML, with up to four
# bytes a letter. The whole body of a request is bounded before Django reads it, to 2 MB but for the composer
# (kit.bodylimit); each upload view checks its own bound again.
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
DATA_UPLOAD_MAX_NUMBER_FILES = 100  # the composer says itself that fifty are enough

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "frame-src": [SELF],
        "manifest-src": [SELF],
        "worker-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = ["deftmail.tenants.signin.PasswordBackend"]
PASSWORD_HASHERS = ["deftmail.kit.passwords.Bcrypt12Hasher"]
AUTH_PASSWORD_VALIDATORS = [{"NAME": "deftmail.tenants.passwords.StrengthValidator"}]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
# A User exists only once its address is proven (sign-up's link) or given out by its domain's company (a mailbox).
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PREVENT_ENUMERATION = "strict"
ACCOUNT_EMAIL_NOTIFICATIONS = False  # tenants.actions.set_password sends the notice, whoever sets it
ACCOUNT_FORMS = {
    "login": "deftmail.tenants.forms.SignInForm",
    "reset_password": "deftmail.tenants.forms.ResetForm",
    "reset_password_from_key": "deftmail.tenants.forms.NewPasswordForm",
    "reauthenticate": "deftmail.tenants.forms.ReauthenticateForm",
}
PASSWORD_RESET_TIMEOUT = 2 * 3600
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_RATE_LIMITS = False  # ours cover every route with one atomic script (kit.ratelimit)
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_ADAPTER = "deftmail.tenants.signin.AccountAdapter"
ACCOUNT_DEFAULT_HTTP_PROTOCOL = conf.base_url.split(":", 1)[0]
ALLAUTH_TRUSTED_PROXY_COUNT = conf.trusted_proxies

EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST, _sep, _email_port = conf.smtp_system.rpartition(":")
EMAIL_PORT = int(_email_port)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = f"DeftMail <no-reply@{conf.operator_domain}>"
SERVER_EMAIL = f"no-reply@{conf.operator_domain}"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [ROOT / "deftmail" / "locale"]
USE_I18N = len(LANGUAGES) > 1  # with one language there is nothing to look up, and a page asks a hundred times
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = ROOT / "staticfiles" if conf.is_production else None  # locally the finders serve
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 3600 if _local else 31536000
WHITENOISE_AUTOREFRESH = conf.mode == "local"  # else a rebuilt file is served with the old length

PROCRASTINATE_IMPORT_PATHS = [
    "deftmail.engine.tasks",
    "deftmail.domains.tasks",
    "deftmail.mailboxes.tasks",
    "deftmail.tenants.tasks",
]
PROCRASTINATE_AUTODISCOVER_MODULE_NAME = "tasks"
PROCRASTINATE_WORKER_DEFAULTS = {
    "concurrency": 4,
    "delete_jobs": "successful",
    "shutdown_graceful_timeout": 20,
    "fetch_job_polling_interval": 5,
}

LOGGING_CONFIG = "deftmail.kit.logs.configure"
# Bound where a view asks who it is (tenants.guards): the middleware would ask the database at every request, also for
# pages that need neither, and once more while an outage of it is being answered.
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG  # the line at its end says it all
DJANGO_STRUCTLOG_USER_ID_FIELD = None
DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = False
DJANGO_STRUCTLOG_TRUST_UPSTREAM_CORRELATION_ID = False
LOGGING: dict[str, Any] = {"version": 1}  # Django calls LOGGING_CONFIG only when this is not empty
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SILENCED_SYSTEM_CHECKS = [
    "security.W004",
    "templates.W003",  # our i18n stands in for Django's on purpose (web.i18n)
]
