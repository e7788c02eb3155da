"""Every service of the stack, in the order of its start."""

from collections.abc import Sequence

from deftmail.stack.errors import StackError
from deftmail.stack.service import Service
from deftmail.stack.services import cyrus, knot, own, postfix, postgres, redis, rspamd
from deftmail.stack.site import Site

# Commands that end by themselves are no services: `status` does not list them.
ONE_SHOTS = ("setup",)


def services(site: Site, only: Sequence[str] = ()) -> list[Service]:
    """All services, or those named in `only`. Raises StackError for an unknown name."""
    everything = [
        postgres.service(site),
        redis.service(site, "redis"),
        redis.service(site, "cache"),
        knot.service(site),
        cyrus.service(site),
        rspamd.service(site),
        postfix.service(site),
        own.setup(site),
        own.gate(site),
        own.worker(site),
        own.web(site),
    ]
    unknown = set(only) - {service.name for service in everything}
    if unknown:
        raise StackError(f"unknown service: {', '.join(sorted(unknown))}")
    return [service for service in everything if not only or service.name in only]
