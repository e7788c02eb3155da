"""Mail about blocks and cases to the company's owners, at their recovery addresses too."""

from __future__ import annotations

from deftmail.domains.selectors import owner_addresses
from deftmail.kit.jobs import enqueue
from deftmail.sending import tasks
from deftmail.sending.models import Block, ReviewCase


def tell_of_block(block: Block) -> None:
    """Enqueue the mail about a block that began or was lifted, in the caller's transaction."""
    for to in owner_addresses(block.tenant_id):
        enqueue(tasks.tell_of_block_job, tenant_id=str(block.tenant_id), block_id=str(block.pk), to=to)


def tell_of_case(case: ReviewCase) -> None:
    """Enqueue the mail with the answer to a case, in the caller's transaction."""
    for to in owner_addresses(case.tenant_id):
        enqueue(tasks.tell_of_case_job, tenant_id=str(case.tenant_id), case_id=str(case.pk), to=to)
