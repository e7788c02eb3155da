"""`deftmail operator create|list|remove|log`: the staff of the installation, who see the back office."""

from __future__ import annotations

import sys
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import make_password
from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import transaction

from deftmail.kit.errors import Refusal
from deftmail.tenants import audit
from deftmail.tenants.access import member_of
from deftmail.tenants.actions.passwords import strong
from deftmail.tenants.addresses import canonical
from deftmail.tenants.models import User
from deftmail.tenants.selectors import system


class Command(BaseCommand):
    help = "Make, list or remove operators (people of the installation, of no company), or read what they did."

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        create = acts.add_parser("create", help="make an operator")
        create.add_argument("--email", required=True, help="address he signs in with; taken as proven")
        create.add_argument("--name", default="", help="his name")
        secret = create.add_mutually_exclusive_group(required=True)
        secret.add_argument("--password", help="his password (seen by whoever lists processes)")
        secret.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
        acts.add_parser("list", help="list operators")
        log = acts.add_parser("log", help="what operators did across companies, newest first")
        log.add_argument("--lines", type=int, default=50, help="how many")
        remove = acts.add_parser("remove", help="end an operator's access at once")
        remove.add_argument("--email", required=True, help="address he signs in with")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            acts = {"create": self._create, "list": self._list, "log": self._log, "remove": self._remove}
            acts[options["act"]](options)
        except Refusal as refusal:
            raise CommandError(f"{refusal.field or options['act']}: {refusal}") from None

    def _create(self, options: dict[str, Any]) -> None:
        password = options["password"]
        if options["password_stdin"]:
            password = sys.stdin.readline().rstrip("\r\n")
        email = canonical(options["email"], field="--email")
        name = options["name"] or email.split("@")[0]
        stored = make_password(strong(password, User(email=email, name=name), field="--password"))
        with transaction.atomic():
            user = User.objects.select_for_update().filter(email=email).first()
            # Never somebody of a company: what he does there would stand in the log under two names.
            if user is not None and (user.is_active or member_of(user) is not None):
                raise CommandError(f"--email: {email} is somebody's address already")
            values = {"name": name, "password": stored, "is_operator": True, "is_active": True}
            user, _made = User.objects.update_or_create(email=email, defaults=values)
            EmailAddress.objects.update_or_create(user=user, email=email, defaults={"verified": True, "primary": True})
            audit.record_operator(audit.command_line(), "operator.created", email)
        self.stdout.write(f"Operator {email}: sign in, then /office/")

    def _list(self, options: dict[str, Any]) -> None:
        for email in User.objects.filter(is_operator=True).order_by("email").values_list("email", flat=True):
            self.stdout.write(email)

    def _log(self, options: dict[str, Any]) -> None:
        for row in system.operator_log(options["lines"]):
            words = (f"{row.created_at:%Y-%m-%d %H:%M:%S} UTC", row.actor, row.ip_address, row.action, row.target)
            details = ", ".join(f"{name}: {value}" for name, value in row.details.items() if value != "")
            self.stdout.write("  ".join(str(word) for word in (*words, details) if word))

    def _remove(self, options: dict[str, Any]) -> None:
        email = canonical(options["email"], field="--email")
        with transaction.atomic():
            user = User.objects.select_for_update().filter(email=email, is_operator=True).first()
            if user is None:
                raise CommandError(f"--email: {email} is no operator")
            # The row stays: blocks of many companies name it, and `create` may bring him back.
            user.is_operator = False
            user.is_active = member_of(user) is not None
            user.session_epoch += 1  # ends every session
            user.save(update_fields=["is_operator", "is_active", "session_epoch"])
            audit.record_operator(audit.command_line(), "operator.removed", email)
        self.stdout.write(f"{email} is no operator any more")
