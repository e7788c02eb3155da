from django.apps import AppConfig


class MailboxesConfig(AppConfig):
    name = "deftmail.mailboxes"
