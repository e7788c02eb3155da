"""What rooms above hang on a domain. They register here at start, because imports go down only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deftmail.domains.models import Domain
from deftmail.tenants.actor import Actor

AddressesOf = Callable[[Domain], Sequence[str]]
DeletionHook = Callable[[Actor, Domain, frozenset[str]], None]

domain_address_sources: list[AddressesOf] = []
"""Each says which addresses with mail of their own stand under a domain. Called inside `tenant_tx`."""

domain_deletion_hooks: list[DeletionHook] = []
"""Called with (actor, domain, confirmed addresses) inside the deletion's transaction, before the row goes: delete what
hangs on the domain and enqueue its removal from the engine, or raise a Refusal, which undoes everything."""
