"""Versions of the legal texts shown here; sign-up records them (kit.legal)."""

from deftmail.kit.legal import PRIVACY_VERSION, TERMS_VERSION

__all__ = ["PRIVACY_VERSION", "TERMS_VERSION"]
