"""Settings for tools and tests: the real ones, with an environment made up where no stack runs.

Under `DEFTMAIL_VAR` (the test stack) the real values win. Tests use plain connections instead of the pool, so that
test databases can be made and dropped, and the cheapest bcrypt cost where a test is not about passwords.
"""

import os
import secrets

from deftmail.cli import load_environment

load_environment()
_made_up = {
    "DEFTMAIL_MODE": "test",
    "DEFTMAIL_SECRET_KEY": secrets.token_hex(32),
    "DEFTMAIL_ENCRYPTION_KEYS": "k1:" + "A" * 43 + "=",
    "DEFTMAIL_DATABASE_URL": "postgresql://deftmail_app@127.0.0.1:1/none",
    "DEFTMAIL_DATABASE_SYSTEM_URL": "postgresql://deftmail_system@127.0.0.1:1/none",
    "DEFTMAIL_DATABASE_OWNER_URL": "postgresql://deftmail_owner@127.0.0.1:1/none",
    "DEFTMAIL_REDIS_URL": "redis://127.0.0.1:1",
    "DEFTMAIL_CACHE_URL": "redis://127.0.0.1:1",
    "DEFTMAIL_BASE_URL": "http://localhost:8000",
}
for _name, _value in _made_up.items():
    os.environ.setdefault(_name, _value)

from deftmail.settings import *  # noqa: E402, F403
from deftmail.settings import DATABASES  # noqa: E402

for _database in DATABASES.values():
    _database["OPTIONS"].pop("pool", None)
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
PASSWORD_HASHERS = ["deftmail.kit.testing.CheapHasher"]
LOGGING = {"version": 1, "cached": False}
