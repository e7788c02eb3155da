"""The refusals of this room: a stable code, a sentence marked for translation, and the values that it names."""

from collections.abc import Callable


class MailprotoError(ValueError):
    """Input that a mail standard, or our policy on top of it, does not allow.

    ``code`` is stable; ``message`` is a sentence that takes its values from ``params`` as ``%(name)s``. ``str(error)``
    is that sentence in English; who shows it to people calls :meth:`said`.
    """

    def __init__(self, code: str, message: str, **params: str) -> None:
        super().__init__(message % params)
        self.code = code
        self.message = message
        self.params = params

    def said(self, translate: Callable[[str], str]) -> str:
        """The sentence in the language of ``translate`` (a ``gettext``)."""
        return translate(self.message) % self.params


class DomainError(MailprotoError):
    """A domain name that cannot be used."""


class AddressError(MailprotoError):
    """A mail address, or a list of them, that cannot be used."""


class HeaderError(MailprotoError):
    """A value that must not be written into a message header."""


class SpfError(MailprotoError):
    """A TXT record that is not one valid SPF record."""


class DkimError(MailprotoError):
    """A TXT record that is not a DKIM key record, or a key that is not a usable key."""


class DmarcError(MailprotoError):
    """A TXT record that is not one valid DMARC record."""
