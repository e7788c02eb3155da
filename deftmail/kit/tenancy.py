"""The one way to touch a company's rows: `with tenant_tx(tenant_id):`.

Row-level security compares `tenant_id` with the setting `app.tenant` of the transaction. Outside a `tenant_tx` a
query on a tenant table is an *error* (the policy's cast fails), never an empty page: a forgotten context shows.
Never hold one open across a call to the engine, SMTP or HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import connections, transaction


@contextmanager
def tenant_tx(tenant_id: UUID | str, *, using: str = "default") -> Iterator[None]:
    """Open a transaction (or savepoint) in which only this company's rows exist. Nests; restores the outer company.

    The explicit restore is needed because RELEASE SAVEPOINT keeps a changed setting; ROLLBACK TO undoes it.
    """
    connection = connections[using]
    nested = connection.in_atomic_block
    with transaction.atomic(using=using):
        with connection.cursor() as cursor:
            cursor.execute(
                "select coalesce(current_setting('app.tenant', true), ''), set_config('app.tenant', %s, true)",
                [str(tenant_id)],
            )
            row = cursor.fetchone()
            outer = row[0] if row else ""
        yield
        if nested:  # of a whole transaction the setting ends with it: no round trip for that
            with connection.cursor() as cursor:
                cursor.execute("select set_config('app.tenant', %s, true)", [outer])


SYSTEM = "system"
"""Alias of the `deftmail_system` connection. Used only in `selectors/system.py` modules (checked by lint)."""
