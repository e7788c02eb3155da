"""Groups as Stalwart's mailing lists."""

from __future__ import annotations

from uuid import UUID

from deftmail.engine.drivers.stalwart import objects
from deftmail.engine.drivers.stalwart.wire import Management, Object, set_error
from deftmail.engine.port import GroupSpec


def apply(management: Management, spec: GroupSpec, domain_id: str) -> None:
    """Make the list, or bring the one that has the address up to date."""
    wanted: Object = {
        "recipients": dict.fromkeys(spec.members, True),
        "description": f"{objects.mark(spec.id)} {spec.display_name}".strip(),
    }
    name = spec.address.rpartition("@")[0]
    answer = management.set("MailingList", create={"l": {"name": name, "domainId": domain_id, **wanted}})
    if "l" in answer.created:
        return
    refused = answer.not_created.get("l")
    holder = objects.holder(refused, "MailingList")
    if holder is None:
        raise set_error(refused, spec.address)
    answer = management.set("MailingList", update={holder: wanted})
    if holder not in answer.updated:
        raise set_error(answer.not_updated.get(holder), spec.address)


def remove(management: Management, address: str, group_id: UUID) -> None:
    """Take the list out, if it was made for this row; absent is success."""
    local = address.rpartition("@")[0]
    found = management.find("MailingList", {"text": local})
    if all(objects.address_of(one) != address for one in found):
        # The text filter is a search, not a key: absence is believed only of the whole list.
        found = management.get("MailingList", management.all_ids("MailingList"))
    ids = [
        str(one["id"])
        for one in found
        if objects.address_of(one) == address and objects.marked(one.get("description")) == group_id
    ]
    answer = management.set("MailingList", destroy=ids)
    for id_ in ids:
        refused = answer.not_destroyed.get(id_)
        if id_ not in answer.destroyed and (refused is None or refused.get("type") != "notFound"):
            raise set_error(refused, address)
