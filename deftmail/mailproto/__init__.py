"""Mail standards as pure code: names, SPF, DKIM, DMARC, DNS checks, message bodies.

Nothing here does I/O, imports Django or knows DeftMail's tables. What a parser raises is a
:class:`~deftmail.mailproto.errors.MailprotoError`; hostile input raises nothing else.
"""
