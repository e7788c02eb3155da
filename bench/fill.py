"""Run beside the bench with a database of its own: make N companies in it, unless they are there.

`python -m bench.fill 1000 20` prints, as JSON, the key and some ids of ten of them.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

PLACE = UUID("6f1a0c1e-4d0b-4c87-9a55-3b0f6a5e2d10")
SAMPLES = 10
OWNER = "owner"
BATCH = 1000


def main(companies: int, mailboxes: int) -> None:
    import django

    django.setup()
    from django.db import connections

    from deftmail.mailboxes.models import MailUser

    if MailUser.objects.using(OWNER).count() != companies * mailboxes:
        _fill(companies, mailboxes)
        with connections[OWNER].cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
    print(json.dumps(_samples(companies, mailboxes)))


def _id(kind: str, *numbers: int) -> UUID:
    return uuid5(PLACE, f"{kind}-{'-'.join(map(str, numbers))}")


def _key(company: int) -> str:
    return f"dm_live_{_id('key', company).hex}"


def _samples(companies: int, mailboxes: int) -> list[dict[str, Any]]:
    step = companies // SAMPLES
    return [
        {
            "key": _key(number),
            "domain_id": str(_id("domain", number)),
            "mailbox_id": str(_id("mailbox", number, mailboxes // 2)),
        }
        for number in range(0, companies, step)
    ]


def _fill(companies: int, mailboxes: int) -> None:
    from django.db import connections
    from django.utils.timezone import now

    from deftmail.domains.models import Domain
    from deftmail.domains.records import expected, stored
    from deftmail.kit.models import SyncState
    from deftmail.mailboxes.models import MailUser
    from deftmail.mailproto import dkim, dnschecks, dnsrecords
    from deftmail.mailproto.dnsanswer import Answer
    from deftmail.tenants.actions.apikeys import hash_of
    from deftmail.tenants.models import ApiKey, Plan, Tenant
    from deftmail.tenants.policies import SCOPES

    with connections[OWNER].cursor() as cursor:
        cursor.execute("TRUNCATE tenants CASCADE")
    moment = now()
    plan = Plan.objects.using(OWNER).get(pk="business")
    key = dkim.generate_key()

    class Nothing:
        def query(self, _name: str, _rtype: str) -> Answer:
            return Answer("nxdomain")

    tenants, keys, domains, boxes = [], [], [], []
    for number in range(companies):
        name = f"company{number}.test"
        tenant = Tenant(
            id=_id("tenant", number),
            company_name=f"Company {number}",
            owner_email=f"owner@company{number}.example",
            plan=plan,
            api_access=True,
        )
        tenants.append(tenant)
        raw = _key(number)
        keys.append(ApiKey(tenant=tenant, name="bench", prefix=raw[:14], key_hash=hash_of(raw), scopes=list(SCOPES)))
        wanted = expected(name, "default", key.public_b64)
        domain = Domain(
            id=_id("domain", number),
            tenant=tenant,
            domain=name,
            domain_unicode=name,
            status=Domain.Status.ACTIVE,
            dkim_public_key=key.public_b64,
            dkim_private_key="bench",
            dns_records=stored(dnsrecords.suggest_records(wanted)),
            checks=[check.to_json() for check in dnschecks.check_domain(wanted, Nothing())],
            ownership_proven_at=moment,
            activated_at=moment,
            check_from=moment,
            next_check_at=moment + timedelta(days=3650),
            sync_state=SyncState.READY,
            synced_at=moment,
        )
        domains.append(domain)
        boxes += [
            MailUser(
                id=_id("mailbox", number, each),
                tenant=tenant,
                domain=domain,
                email=f"person{each:03}@{name}",
                display_name=f"Person {each}",
                password_hash="$2b$12$" + "." * 53,
                sync_state=SyncState.READY,
                synced_at=moment,
            )
            for each in range(mailboxes)
        ]
    Tenant.objects.using(OWNER).bulk_create(tenants, batch_size=BATCH)
    ApiKey.objects.using(OWNER).bulk_create(keys, batch_size=BATCH)
    Domain.objects.using(OWNER).bulk_create(domains, batch_size=BATCH)
    MailUser.objects.using(OWNER).bulk_create(boxes, batch_size=BATCH)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
