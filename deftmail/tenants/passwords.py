"""Is this password good enough? zxcvbn with the company's words, and bcrypt's 72 bytes said aloud."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from zxcvbn import zxcvbn

from deftmail.kit.passwords import MAX_BYTES, fits, slowly

MIN_LENGTH = 10
MIN_SCORE = 3  # zxcvbn: 3 = 10^8 guesses or more, safe against online guessing
# What everybody was taught with is in every breach since; Django's list and zxcvbn's are older.
_TAUGHT = frozenset({"correcthorsebatterystaple", "tr0ub4dor3"})


class StrengthValidator:
    """Length, 72 bytes, the list of breached passwords, and guessability with the person's own words."""

    def __init__(self) -> None:
        self._leaked = CommonPasswordValidator().passwords | _TAUGHT

    def validate(self, password: str, user: Any = None) -> None:
        """Raises ValidationError with one sentence that says what to do."""
        if len(password) < MIN_LENGTH:
            raise ValidationError(_("Use at least %(n)d characters.") % {"n": MIN_LENGTH}, code="password_too_short")
        if "\0" in password:
            raise ValidationError(_("A password cannot hold a NUL character."), code="password_character")
        if not fits(password):
            raise ValidationError(
                _("Use at most %(n)d bytes: about 72 Latin letters, or 36 accented ones.") % {"n": MAX_BYTES},
                code="password_too_long",
            )
        words = [str(getattr(user, name, "")) for name in ("email", "name", "company_name")] if user else []
        inputs = [part for word in words for part in (word, *word.replace("@", " ").replace(".", " ").split()) if part]
        bare = "".join(filter(str.isalnum, password)).lower()  # leaked with other signs between is leaked
        if not self._leaked.isdisjoint({password.strip().lower(), bare}):
            raise ValidationError(
                _("This password is on a list of leaked passwords. Choose another."), code="password_breached"
            )
        # zxcvbn is quadratic in the length: a long password is judged by its first 64 characters.
        with slowly():
            score = zxcvbn(password[:64], user_inputs=inputs)["score"]
        if score < MIN_SCORE:
            raise ValidationError(
                _("This password is easy to guess. Three or four unrelated words make a good one."),
                code="password_weak",
            )

    def get_help_text(self) -> str:
        return _("At least %(n)d characters, at most %(m)d bytes. Three or four unrelated words make a good one.") % {
            "n": MIN_LENGTH,
            "m": MAX_BYTES,
        }
