"""Django's `i18n` tags; with one language the words of the interface are written when a template is loaded."""

from __future__ import annotations

from django import template
from django.conf import settings
from django.template import Node
from django.template.base import Parser, Token
from django.templatetags import i18n

from deftmail.web.once import once

register = template.Library()
register.tags |= i18n.register.tags
register.filters |= i18n.register.filters
_at_once = once(i18n.do_translate)


@register.tag
def translate(parser: Parser, token: Token) -> Node:
    """`{% translate "Inbox" %}`."""
    return (i18n.do_translate if settings.USE_I18N else _at_once)(parser, token)
