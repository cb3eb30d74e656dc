"""What a board may be narrowed to: one FilterSet for the page, the exports and REST."""

import re
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from evaluations.systems import KINDS

from .families import FAMILIES
from .models import Entry

_SCALES = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9}
PRECISIONS = ("fp32", "bf16", "fp16")


class ScaledNumberField(forms.CharField):
    """A count or a size with a suffix: `110M`, `1.5 B`, `4GB` or plain digits."""

    default_error_messages = {"scaled": "Write a number, with k, M or G (or B) after it if you like: 110M."}

    def clean(self, value: Any) -> float | None:
        text = super().clean(value).replace(",", "").strip().lower()
        if not text:
            return None
        match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)\s*([kmbg]?)b?", text)
        if not match:
            raise ValidationError(self.error_messages["scaled"], code="scaled")
        return float(match[1]) * _SCALES[match[2]]


class ScaledNumberFilter(django_filters.Filter):
    field_class = ScaledNumberField


class EntryFilter(django_filters.FilterSet):
    """Over entries; see `queries.entries`. Rows without a number fail a limit on it."""

    q = django_filters.CharFilter(
        method="search", label="Find", max_length=100, help_text="In name, organisation and licence."
    )
    family = django_filters.ChoiceFilter(
        field_name="revision__system__family",
        choices=list(FAMILIES.items()),
        label="Family",
        empty_label="any",
        help_text="How the system represents texts.",
    )
    kind = django_filters.ChoiceFilter(
        field_name="revision__kind",
        choices=[(kind.name, kind.title) for kind in KINDS.values()],
        label="Kind",
        empty_label="any",
        help_text="What was submitted.",
    )
    precision = django_filters.ChoiceFilter(
        field_name="revision__options__precision",
        choices=[(name, name) for name in PRECISIONS],
        label="Precision",
        empty_label="any",
        help_text="In which the model computed.",
    )
    parameters_min = ScaledNumberFilter(
        field_name="metrics__parameters", lookup_expr="gte", label="Parameters from", help_text="Such as 1M."
    )
    parameters_max = ScaledNumberFilter(
        field_name="metrics__parameters", lookup_expr="lte", label="to", help_text="Such as 110M."
    )
    index_bytes_max = ScaledNumberFilter(
        field_name="metrics__index_bytes", lookup_expr="lte", label="Index up to", help_text="Such as 4GB."
    )
    complete = django_filters.BooleanFilter(
        method="only_complete",
        label="complete only",
        widget=forms.CheckboxInput,
        help_text="Only rows with an average.",
    )

    class Meta:
        model = Entry
        fields: list[str] = []

    def search(self, found: QuerySet[Entry], name: str, value: str) -> QuerySet[Entry]:
        """Every word must be somewhere."""
        for word in value.split():
            system = "revision__system__"
            found = found.filter(
                Q(**{f"{system}name__icontains": word})
                | Q(**{f"{system}organisation__icontains": word})
                | Q(**{f"{system}licence__icontains": word})
            )
        return found

    def only_complete(self, found: QuerySet[Entry], name: str, value: bool | None) -> QuerySet[Entry]:
        return found.filter(average__isnull=False) if value else found
