"""How a view shows a refusal on the form that caused it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.forms import BaseForm

from deftmail.kit.errors import Refusal

_PAGES = frozenset({403, 404, 429, 503})


@contextmanager
def refusals_on(form: BaseForm) -> Iterator[None]:
    """Put a refusal raised inside on its field (or above the form) and go on; what concerns no field stays raised.

    The action inside is atomic itself, so what it had written is undone.
    """
    try:
        yield
    except Refusal as refusal:
        if refusal.status in _PAGES:
            raise
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
