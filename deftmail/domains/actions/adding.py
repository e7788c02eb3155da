"""A company claims a name."""

from __future__ import annotations

import uuid
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from deftmail.domains import errors, looking, policies, records
from deftmail.domains.models import Domain
from deftmail.domains.selectors import no_room, system
from deftmail.kit.conf import conf
from deftmail.kit.crypto import seal
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailproto import dkim
from deftmail.mailproto.dnsanswer import Resolver
from deftmail.mailproto.errors import DomainError
from deftmail.mailproto.names import DomainName, is_subdomain, parse_hosted_domain
from deftmail.tenants import audit
from deftmail.tenants.actor import Actor
from deftmail.tenants.errors import CompanySuspended
from deftmail.tenants.models import Tenant
from deftmail.tenants.policies import Action

# The parser's codes in words of this product; the rest are one sentence.
_REASONS = {
    "empty": gettext_lazy("Enter a domain, as in example.com."),
    "single_label": gettext_lazy("A domain has at least two parts, as in example.com."),
    "too_long": gettext_lazy("This name is longer than the 253 characters a domain may have."),
    "label_too_long": gettext_lazy("A part of this name is longer than the 63 characters it may have."),
    "ip_address": gettext_lazy("This is an IP address. Enter a domain, as in example.com."),
    "public_suffix": gettext_lazy("Many owners share %(domain)s. Enter your own name below it."),
    "special_use": gettext_lazy("%(domain)s is reserved and cannot receive mail from outside."),
}


def parse_name(text: str) -> DomainName:
    """Read what was typed as a domain to host. Raises DomainInvalid with a sentence for the field."""
    cleaned = text.strip().lower().removeprefix("http://").removeprefix("https://").rstrip("/")
    try:
        name = parse_hosted_domain(cleaned)
    except DomainError as error:
        sentence = _REASONS.get(error.code, gettext_lazy("This is not a domain name. Enter one as in example.com."))
        shown = {"domain": error.params.get("domain", cleaned[:80])}
        raise errors.DomainInvalid(str(sentence) % shown, reason=error.code) from None
    if is_subdomain(name.ascii, conf.operator_domain) or name.ascii in (conf.mail_host, _web_host()):
        raise errors.DomainInvalid(_("This name belongs to the service itself."), reason="operator")
    return name


def add_domain(*, actor: Actor, name: str, resolver: Resolver | None = None) -> Domain:
    """Claim `name` for the actor's company: key made, records merged with what the DNS holds, checks scheduled.

    Call outside a transaction: it asks the DNS. Raises DomainInvalid, DomainExists, DomainTaken, DomainLimitReached,
    CompanySuspended, Forbidden; nothing is written then.
    """
    actor.require(Action.DOMAIN_MANAGE)
    parsed = parse_name(name)
    with tenant_tx(actor.tenant_id):
        _refuse_early(actor, parsed)  # before the DNS is asked and a key is made; decided again under the lock below
    if system.is_held_by_another(parsed.ascii, actor.tenant_id):
        raise errors.DomainTaken
    key = dkim.generate_key()
    moment = now()
    selector, suggested = looking.first_look(parsed.ascii, key.public_b64, moment.date(), resolver)
    row_id = uuid.uuid4()
    with tenant_tx(actor.tenant_id):
        _refuse_early(actor, parsed, lock=True)
        domain = Domain(
            id=row_id,
            tenant_id=actor.tenant_id,
            domain=parsed.ascii,
            domain_unicode=parsed.unicode,
            dkim_selector=selector,
            dkim_public_key=key.public_b64,
            dkim_private_key=seal(key.private_pem, table="domains", tenant_id=actor.tenant_id, row_id=row_id),
            dns_records=records.stored(suggested),
            check_from=moment,
            next_check_at=policies.next_scheduled(moment, moment),
        )
        try:
            with transaction.atomic():
                domain.save(force_insert=True)
        except IntegrityError:  # the lock makes this impossible from here; another path may still insert
            raise errors.DomainExists from None
        audit.record(actor, "domain.added", domain, selector=selector)
    return domain


def _refuse_early(actor: Actor, name: DomainName, *, lock: bool = False) -> None:
    """Refuse a stopped company, a name it has already, and one too many. With `lock` the tenant row serialises adds."""
    tenants = Tenant.objects.filter(pk=actor.tenant_id)
    tenant = (tenants.select_for_update(no_key=True) if lock else tenants).get()
    if tenant.status != Tenant.Status.ACTIVE:
        raise CompanySuspended
    if Domain.objects.filter(tenant_id=actor.tenant_id, domain=name.ascii).exists():
        raise errors.DomainExists
    if full := no_room(tenant):
        raise full


def _web_host() -> str:
    return urlsplit(conf.base_url).hostname or ""
