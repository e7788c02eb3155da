"""The refusals of this room: a stable code for translation, parameters, and a plain English sentence."""


class MailprotoError(ValueError):
    """Input that a mail standard, or our policy on top of it, does not allow.

    ``code`` is stable and meant for a translation table; ``params`` are the values its sentence names;
    ``str(error)`` is that sentence in English.
    """

    def __init__(self, code: str, message: str, **params: str) -> None:
        super().__init__(message)
        self.code = code
        self.params = params


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
