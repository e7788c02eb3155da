"""Forms of the operator's pages."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy as _

from deftmail.sending.forms import MOST, text_field
from deftmail.sending.limits import BY_NAME, COLUMNS, LIMITS
from deftmail.sending.models import Block, ReviewCase
from deftmail.tenants.models import Tenant


def _reason(help_text: Any = "") -> forms.CharField:
    return forms.CharField(label=_("Reason"), help_text=help_text, max_length=300, min_length=5)


class ReasonForm(forms.Form):
    """Why an operator opens a company, or ends a block."""

    reason = _reason()


class LimitsForm(forms.Form):
    """The five limits of a company."""

    def __init__(self, *args: Any, company: Tenant, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for limit in LIMITS:
            self.fields[limit.column] = forms.IntegerField(
                label=str(limit.label),
                required=False,
                min_value=0,
                max_value=MOST,
                localize=False,
                initial=getattr(company, limit.column),
                widget=forms.NumberInput(attrs={"placeholder": _("No limit"), "inputmode": "numeric"}),
            )
        self.fields["reason"] = _reason(help_text=_("Stands in the company's log, where its owner reads it."))

    @property
    def limits(self) -> dict[str, int | None]:
        """The columns as typed; an empty field is no limit."""
        return {column: self.cleaned_data[column] for column in COLUMNS}


class AnswerForm(forms.Form):
    """The answer to a case. For a request for more, the two limits that it is about."""

    answer = text_field(_("Answer"), _("The company's owners get it by mail."))

    def __init__(self, *args: Any, case: ReviewCase, granting: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.columns: tuple[str, ...] = ()
        if granting and case.kind == ReviewCase.Kind.MORE:
            self.columns = tuple(BY_NAME[name].column for name in ("mailbox_day", "domain_day"))
            for name in ("mailbox_day", "domain_day"):
                column = BY_NAME[name].column
                present = getattr(case.tenant, column)
                wanted = case.wanted if name == "mailbox_day" and case.wanted else present
                self.fields[column] = forms.IntegerField(
                    label=str(BY_NAME[name].label),
                    required=False,
                    min_value=0,
                    max_value=MOST,
                    localize=False,
                    initial=wanted,
                    help_text=_("Now: %(n)s") % {"n": _("no limit") if present is None else present},
                    widget=forms.NumberInput(attrs={"placeholder": _("No limit"), "inputmode": "numeric"}),
                )
            self.order_fields([*self.columns, "answer"])

    @property
    def limits(self) -> dict[str, int | None]:
        """What is granted."""
        return {column: self.cleaned_data[column] for column in self.columns}


class BlockForm(forms.Form):
    """Stop sending: of what, for how long, why."""

    what = forms.ChoiceField(label=_("Stop sending of"))
    kind = forms.ChoiceField(label=_("For how long"), choices=Block.Kind.choices)
    reason = _reason(help_text=_("One sentence. Everybody it stops reads it."))
    evidence = text_field(_("What was seen"), _("The company's owner reads it."), required=False)

    def __init__(self, *args: Any, subjects: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["what"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("company", _("The whole company")), *subjects]

    @property
    def subject(self) -> dict[str, UUID]:
        """Keyword arguments of the action."""
        whose, _colon, pk = self.cleaned_data["what"].partition(":")
        return {f"{whose}_id": UUID(pk)} if pk else {}
