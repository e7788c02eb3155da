"""Versions of the legal texts. Sign-up records which ones were accepted; a change of text needs a new date here."""

TERMS_VERSION = "2026-11-24"
PRIVACY_VERSION = "2026-11-24"
