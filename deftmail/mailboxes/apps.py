from django.apps import AppConfig


class MailboxesConfig(AppConfig):
    name = "deftmail.mailboxes"

    def ready(self) -> None:
        from deftmail.mailboxes import hooks

        hooks.register()
