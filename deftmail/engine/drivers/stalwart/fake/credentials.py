"""What opens an account: its password, app passwords and keys, in one list in the order in which they were made."""

from __future__ import annotations

import copy
import re
from typing import Any

from deftmail.engine.drivers.stalwart.fake.patches import SetRefused
from deftmail.engine.drivers.stalwart.fake.shapes import CREDENTIAL

Object = dict[str, Any]
SECONDARY = ("AppPassword", "ApiKey")
HASHES = re.compile(
    r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}\Z|\$argon2(id|i|d)\$v=\d+\$|\$pbkdf2-sha(256|512)\$i=\d+|\$(1|5|6|scrypt)\$"
    r"|\{(SHA|SSHA|SHA256|SSHA256|SHA512|SSHA512|MD5)\}"
)
"""What is taken for a hash; everything else is a plain password."""


def secondary(account: Object) -> list[Object]:
    """The app passwords and keys among an account's credentials."""
    found = (account.get("credentials") or {}).values()
    return [credential for credential in found if credential.get("@type") in SECONDARY]


def remove(account: Object, kind: str, id_: str) -> None:
    """Take one out; those behind it move up."""
    left = [one for one in account["credentials"].values() if (one["@type"], one["credentialId"]) != (kind, id_)]
    account["credentials"] = {str(place): one for place, one in enumerate(left)}


def check_credentials(account: Object, before: Object | None) -> None:
    """Raises SetRefused for what an account may not have. before: the account as it was, None for a new one."""
    credentials = account["credentials"]
    if before is None and len(credentials) > 1:
        raise SetRefused("invalidPatch", description="Only one password is allowed", properties=["credentials"])
    if set(credentials) != {str(place) for place in range(len(credentials))}:
        raise SetRefused("invalidPatch", description="Invalid key", properties=["credentials"])
    held = secondary(before) if before is not None else []
    for credential in credentials.values():
        if credential in held:
            continue
        for name, value in {"@type": "Password", "credentialId": "a", **CREDENTIAL}.items():
            credential.setdefault(name, copy.deepcopy(value))
        if credential["@type"] != "Password":
            description = "Cannot modify server set property"
            raise SetRefused("invalidPatch", description=description, properties=["credentials"])
        secret = str(credential.get("secret", ""))
        if not HASHES.match(secret) and len(secret) < 8:
            description = "Password must be at least 8 characters long."
            raise SetRefused("invalidProperties", description=description, properties=["secret"])
