"""What the fake knows of each kind of object; the settings are those of a server fresh from the offline recipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """defaults: members an object has when its creator says nothing; required: those it must say; filters: of `/query`;
    owned: objects of one account; long_ids: ids as large as a clock's"""

    defaults: Object = field(default_factory=dict)
    required: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    owned: bool = False
    long_ids: bool = False


_ACCOUNT: Object = {
    "memberTenantId": None,
    "permissions": {"@type": "Inherit"},
    "quotas": {},
    "aliases": {},
    "description": None,
    "locale": "en_US",
    "timeZone": None,
}
USER: Object = {
    **_ACCOUNT,
    "credentials": {},
    "memberGroupIds": {},
    "roles": {"@type": "User"},
    "encryptionAtRest": {"@type": "Disabled"},
}
GROUP: Object = {**_ACCOUNT, "roles": {"@type": "Default"}}
CREDENTIAL: Object = {"expiresAt": None, "allowedIps": {}}
_SECONDARY: Object = {"description": "", "permissions": {"@type": "Inherit"}, "allowedIps": {}, "expiresAt": None}
_SIGNATURE: Object = {
    "auid": None,
    "canonicalization": "relaxed/relaxed",
    "expire": None,
    "headers": {"From": True, "To": True, "Date": True, "Subject": True, "Message-ID": True},
    "report": True,
    "thirdParty": None,
    "thirdPartyHash": None,
    "memberTenantId": None,
    "nextTransitionAt": None,
    "stage": "active",
}
_DOMAIN: Object = {
    "aliases": {},
    "isEnabled": True,
    "description": None,
    "logo": None,
    "certificateManagement": {"@type": "Manual"},
    "dkimManagement": {"@type": "Automatic"},
    "dnsManagement": {"@type": "Manual"},
    "memberTenantId": None,
    "directoryId": None,
    "catchAllAddress": None,
    "subAddressing": {"@type": "Enabled"},
    "allowRelaying": False,
    "reportAddressUri": "mailto:postmaster",
}
_HOOK: Object = {
    "stages": {"data": True},
    "enable": {"else": "true", "match": {}},
    "tempFailOnError": True,
    "timeout": 30000,
    "httpAuth": {"@type": "Unauthenticated"},
    "httpHeaders": {},
    "allowInvalidCerts": False,
}
_WEBHOOK: Object = {
    "enable": True,
    "events": {},
    "eventsPolicy": "exclude",
    "level": "info",
    "lossy": False,
    "throttle": 1000,
    "timeout": 30000,
    "discardAfter": 300000,
    "signatureKey": {"@type": "None"},
    "httpAuth": {"@type": "Unauthenticated"},
    "httpHeaders": {},
    "allowInvalidCerts": False,
}
_THROTTLE: Object = {"enable": True, "key": {}, "match": {"else": "true", "match": {}}, "description": ""}

KINDS: dict[str, Kind] = {
    "Domain": Kind(_DOMAIN, ("name",), ("text", "name", "aliases", "memberTenantId")),
    "Account": Kind(
        {}, ("name", "domainId"), ("text", "@type", "domainId", "memberGroupIds", "memberTenantId", "name")
    ),
    "MailingList": Kind(
        {"aliases": {}, "description": None, "memberTenantId": None, "recipients": {}},
        ("name", "domainId"),
        ("text", "memberTenantId"),
    ),
    "DkimSignature": Kind(
        _SIGNATURE, ("domainId", "selector", "privateKey"), ("domainId", "memberTenantId"), long_ids=True
    ),
    "AppPassword": Kind(_SECONDARY, ("description",), owned=True),
    "ApiKey": Kind(_SECONDARY, ("description",), owned=True),
    "Role": Kind(
        {"enabledPermissions": {}, "disabledPermissions": {}, "roleIds": {}, "memberTenantId": None},
        ("description",),
        ("description", "memberTenantId"),
    ),
    "MtaHook": Kind(_HOOK, ("url",), long_ids=True),
    "WebHook": Kind(_WEBHOOK, ("url",), long_ids=True),
    "MtaInboundThrottle": Kind(_THROTTLE, ("rate",), long_ids=True),
    "MtaRoute": Kind({"description": None}, ("name",), ("name",), long_ids=True),
    "NetworkListener": Kind({"useTls": True, "tlsImplicit": False}, ("name", "bind"), ("name",), long_ids=True),
    "AllowedIp": Kind({"reason": "", "expiresAt": None}, ("address",), ("address",), long_ids=True),
    "QueuedMessage": Kind({}, (), ("returnPath", "to", "text", "queueName"), long_ids=True),
    "Action": Kind(long_ids=True),
}

SINGLETONS: dict[str, Object] = {
    "SystemSettings": {"defaultHostname": "mx.mail.test", "defaultDomainId": "b", "mailExchangers": {}},
    "Authentication": {
        "maxApiKeys": 5,
        "maxAppPasswords": 5,
        "passwordMinLength": 8,
        "passwordMaxLength": 128,
        "passwordMinStrength": "three",
    },
    "SpamPyzor": {"enable": False},
    "SpamSettings": {"enable": False, "spamFilterRulesUrl": None},
    "Metrics": {"prometheus": {"@type": "Disabled"}, "metricsPolicy": "exclude", "metrics": {}},
    "Http": {"rateLimitAuthenticated": {"count": 1000, "period": 60000}, "useXForwarded": False},
    "Jmap": {"maxMethodCalls": 16, "getMaxResults": 500, "setMaxObjects": 500, "queryMaxResults": 5000},
    "Email": {"maxMailboxes": 250, "maxSubmissions": 500, "defaultFolders": {}},
    "Imap": {"allowPlainTextAuth": True},
    "MtaStageAuth": {"mustMatchSender": {"else": "true", "match": {}}},
    "MtaStageData": {"maxMessageSize": {"else": "104857600", "match": {}}},
    "MtaOutboundStrategy": {"route": {"else": "'mx'", "match": {}}},
}
