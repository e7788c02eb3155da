"""Every refusal has a sentence that can be translated, and says the same in English."""

import pytest

from deftmail.mailproto.addresses import parse_address, parse_recipients
from deftmail.mailproto.dmarc import parse as parse_dmarc
from deftmail.mailproto.errors import MailprotoError
from deftmail.mailproto.names import parse_hosted_domain
from deftmail.mailproto.spf import parse as parse_spf


@pytest.mark.parametrize(
    ("call", "text", "named"),
    [
        (parse_address, "100%anna", "100%anna"),
        (parse_address, "a b@acme.test", "a b@acme.test"),
        (parse_address, "anna@-%s.test", "-%s"),
        (parse_recipients, "anna@acme.test <x>%d", "%d"),
        (parse_hosted_domain, "co.uk", "co.uk"),
        (parse_hosted_domain, "shop.onion", ".onion"),
        (parse_dmarc, "v=DMARC1; 50%", "50%"),
        (parse_spf, "v=spf1 a=%d", "a=%d"),
    ],
)
def test_a_refusal_is_said_in_the_readers_language(call, text, named):
    with pytest.raises(MailprotoError) as refused:
        call(text)
    error = refused.value
    assert named in str(error)
    assert error.said(str) == str(error)
    assert error.said(lambda sentence: f"Nein: {sentence}") == f"Nein: {error}"
    assert "%(" not in str(error)
