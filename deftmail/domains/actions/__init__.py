"""Everything that changes a domain. `add_domain` and `check_domain` ask the DNS: call them outside a transaction."""

from deftmail.domains.actions.adding import add_domain
from deftmail.domains.actions.checking import check_domain, poke_checks
from deftmail.domains.actions.removing import addresses_in, delete_domain
from deftmail.domains.actions.syncing import retry_sync

__all__ = ["add_domain", "addresses_in", "check_domain", "delete_domain", "poke_checks", "retry_sync"]
