"""What the results of the DNS checks mean and what to do, in plain words, by code.

A sentence takes its values as ``%(name)s``. ``gettext_noop`` only marks the text for the message extractor:
``CheckResult.said`` translates and fills in the result's ``params``.
"""

from typing import NamedTuple


def gettext_noop(message: str) -> str:
    """Mark a sentence for translation; the sentence itself."""
    return message


class Sentence(NamedTuple):
    """What we understood, and what its reader should do (empty where nothing is to be done)."""

    seen: str
    todo: str = ""


_ = gettext_noop

SENTENCES: dict[str, Sentence] = {
    "ok": Sentence(_("This record is right.")),
    "dns_failure": Sentence(
        _("The DNS gave no answer about %(name)s this time (%(detail)s)."),
        _("Nothing to do: we ask again by ourselves. If it lasts, ask whoever runs your DNS."),
    ),
    "domain_not_found": Sentence(
        _("The DNS does not know %(domain)s."),
        _("Check the spelling and that the domain is registered and has name servers."),
    ),
    "doubled_name": Sentence(
        _("The record is at %(name)s: your DNS provider added the domain a second time."),
        _("Enter the short name %(short)s at your provider, without the domain."),
    ),
    "mx_missing": Sentence(
        _("There is no MX record, so mail cannot find you."), _("Publish the MX record shown here.")
    ),
    "mx_null": Sentence(
        _("The MX record says that this domain takes no mail."), _("Replace it with the MX record shown here.")
    ),
    "mx_elsewhere": Sentence(
        _("Mail goes to %(host)s."),
        _("When people and old mail are in place here, replace that MX record with the one shown."),
    ),
    "mx_not_first": Sentence(
        _("%(host)s has a lower number than our server, so mail goes there first."),
        _("Remove the other MX records, or give ours the lowest number."),
    ),
    "mx_shared": Sentence(
        _("%(host)s has the same number as our server, so part of your mail goes there."),
        _("Remove the other MX record."),
    ),
    "spf_missing": Sentence(_("There is no SPF record."), _("Publish the TXT record shown here.")),
    "spf_many": Sentence(
        _("There are %(count)s SPF records; receivers then ignore them all."),
        _("Replace them with the one record shown here, which joins them."),
    ),
    "spf_invalid": Sentence(
        _("Receivers cannot read the SPF record: %(term)s is not part of the standard."),
        _("Replace it with the record shown here."),
    ),
    "spf_no_include": Sentence(
        _("The SPF record does not name our servers."),
        _("Replace it with the record shown here: yours, with %(include)s added."),
    ),
    "spf_after_all": Sentence(
        _("Our %(include)s stands behind all, where nobody reads on."), _("Move it before all, as shown here.")
    ),
    "spf_qualifier": Sentence(
        _("Our %(include)s has a sign before it that does not allow us to send."),
        _("Remove the sign, as shown here."),
    ),
    "spf_loop": Sentence(
        _("The SPF record includes itself by way of %(loop)s."), _("Remove the include that leads back.")
    ),
    "spf_too_many": Sentence(
        _("Reading the SPF record takes %(total)s look-ups; receivers stop at 10."),
        _("Remove services you no longer use, or replace an include by the addresses behind it."),
    ),
    "spf_count_unknown": Sentence(
        _("The DNS gave no answer about %(name)s, which the SPF record includes."),
        _("We ask again by ourselves. If it lasts, remove that include."),
    ),
    "dkim_missing": Sentence(_("There is no DKIM record."), _("Publish the TXT record shown here.")),
    "dkim_many": Sentence(
        _("There are %(count)s records at %(name)s; only one may stand there."), _("Keep only the one shown here.")
    ),
    "dkim_quoted": Sentence(
        _("The DKIM record carries quotation marks or backslashes that belong to a zone file."),
        _("Enter the value exactly as shown here, without quotation marks."),
    ),
    "dkim_invalid": Sentence(_("What stands there is not a DKIM record."), _("Replace it with the record shown here.")),
    "dkim_revoked": Sentence(
        _("The DKIM record is empty: the key is withdrawn."), _("Replace it with the record shown here.")
    ),
    "dkim_truncated": Sentence(
        _("The DKIM key is cut off after %(length)s of %(expected_length)s characters."),
        _("Enter the whole value. Some providers want it in two quoted strings on one line."),
    ),
    "dkim_other_key": Sentence(_("Another DKIM key stands there."), _("Replace it with the record shown here.")),
    "dkim_hash": Sentence(
        _("The DKIM record forbids SHA-256, the only method in use."), _("Remove the h= part of the record.")
    ),
    "dkim_service": Sentence(_("The DKIM record is not meant for mail."), _("Remove the s= part of the record.")),
    "dmarc_missing": Sentence(_("There is no DMARC record."), _("Publish the TXT record shown here.")),
    "dmarc_many": Sentence(
        _("There are %(count)s DMARC records; receivers then ignore them all."),
        _("Replace them with the one record shown here."),
    ),
    "dmarc_invalid": Sentence(
        _("Receivers cannot read the DMARC record: %(reason)s"), _("Replace it with the record shown here.")
    ),
}

# Warnings stand beside a result and do not change its state.
WARNINGS: dict[str, str] = {
    "mx_backup": _("%(host)s also takes mail when our server is not reached; it may be a former provider."),
    "spf_broken_include": _("%(broken)s, which the SPF record includes, has no valid SPF record."),
    "spf_void": _("%(void)s look-ups of the SPF record find nothing; some receivers stop at 2."),
    "spf_no_all": _("The SPF record does not end in all, so it forbids nobody."),
    "spf_plus_all": _("The SPF record ends in +all: it allows the whole internet to send as you."),
    "spf_would_exceed": _("With our include the SPF record takes %(total)s look-ups; receivers stop at 10."),
    "dkim_testing": _("The DKIM record is marked as a test (t=y); remove that when everything works."),
    "dmarc_none": _(
        "The policy is none: forged mail is only reported. Move to quarantine when the reports look right."
    ),
    "dmarc_partial": _("The policy is asked for %(pct)s percent of the mail only."),
    "dmarc_no_reports": _("Reports do not reach us, so we cannot show them to you."),
    "dmarc_ignored": _("Receivers ignore these parts of the DMARC record: %(ignored)s."),
}
