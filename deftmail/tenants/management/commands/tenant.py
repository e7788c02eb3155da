"""`deftmail tenant create|list`: the operator's way to make and see companies."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.contrib.auth.hashers import make_password
from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import transaction

from deftmail.kit.errors import Refusal
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants import actions, audit
from deftmail.tenants.actions.passwords import strong
from deftmail.tenants.actor import Actor
from deftmail.tenants.addresses import canonical
from deftmail.tenants.models import Plan, User
from deftmail.tenants.policies import SCOPES
from deftmail.tenants.selectors import system


class Command(BaseCommand):
    help = "Make a company with its owner and an API key, or list the companies."

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        create = acts.add_parser("create", help="make a company, its owner and an API key")
        create.add_argument("--company", required=True, help="the company's name")
        create.add_argument("--owner-email", required=True, help="address the owner signs in with; taken as proven")
        create.add_argument("--owner-name", default="", help="the owner's name")
        secret = create.add_mutually_exclusive_group(required=True)
        secret.add_argument("--password", help="the owner's password (seen by whoever lists processes)")
        secret.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
        create.add_argument("--plan", default="business", help="slug of the plan")
        create.add_argument("--json", action="store_true", help="print one JSON object")
        listing = acts.add_parser("list", help="list companies")
        listing.add_argument("--search", default="", help="part of the name or of the owner's address")
        listing.add_argument("--json", action="store_true", help="print one JSON object a line")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._create(options) if options["act"] == "create" else self._list(options)
        except Refusal as refusal:
            raise CommandError(f"{refusal.field or options['act']}: {refusal}") from None

    def _create(self, options: dict[str, Any]) -> None:
        password = options["password"]
        if options["password_stdin"]:
            password = sys.stdin.readline().rstrip("\r\n")
        email = canonical(options["owner_email"], field="--owner-email")
        plan = Plan.objects.filter(pk=options["plan"]).first()
        if plan is None:
            known = ", ".join(Plan.objects.values_list("slug", flat=True))
            raise CommandError(f"--plan: there is no plan {options['plan']!r}; there are {known}")
        name = options["owner_name"] or email.split("@")[0]
        stored = make_password(strong(password, User(email=email, name=name), field="--password"))
        who = audit.command_line()
        with transaction.atomic():
            tenant, _user = actions.create_company(
                actor_label=who,
                company_name=options["company"],
                owner_email=email,
                owner_name=name,
                stored_password=stored,
                plan=plan,
                trial=False,
            )
            actor = Actor.system(tenant.pk, who)
            # The API is a plan's entitlement; who makes a company here grants it, whatever the plan.
            actions.grant_api_access(actor=actor)
            with tenant_tx(tenant.pk):
                _key, raw = actions.create_api_key(actor=actor, name="First key", scopes=list(SCOPES))
        if options["json"]:
            self.stdout.write(json.dumps({"tenant_id": str(tenant.pk), "api_key": raw}))
        else:
            self.stdout.write(f"Company {tenant.company_name}: {tenant.pk}\nAPI key, shown this once: {raw}")

    def _list(self, options: dict[str, Any]) -> None:
        found = system.companies(options["search"])
        audit.record_operator(audit.command_line(), "companies.listed", search=options["search"], found=len(found))
        for tenant in found:
            row = {
                "tenant_id": str(tenant.pk),
                "company": tenant.company_name,
                "owner_email": tenant.owner_email,
                "plan": tenant.plan_id,
                "status": tenant.status,
                "created_at": tenant.created_at.isoformat(),
            }
            self.stdout.write(json.dumps(row) if options["json"] else "  ".join(str(value) for value in row.values()))
