"""Results to look at. Numbers come from workers alone; a row of a board can be computed anew from them."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from leaderboard.operators import ReadOnlyAdmin, report

from . import entries
from .models import Entry, Measurement, OperatingPoint


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin):
    list_display = ("revision", "benchmark", "average", "is_current", "updated_at", "submission")
    list_filter = ("benchmark", "is_current", "revision__kind")
    list_select_related = (
        "benchmark",
        "revision__system",
        "submission__revision__system",
        "submission__benchmark",
    )
    search_fields = ("revision__system__name", "submission__id")
    actions = ("refresh",)

    @admin.action(description="Compute the chosen rows anew", permissions=["operate"])
    def refresh(self, request: HttpRequest, chosen: QuerySet[Entry]) -> None:
        listed = [
            entry.submission
            for entry in chosen.select_related("submission__revision", "submission__benchmark")
        ]
        report(
            request, sum(entries.refresh(each) is not None for each in listed), len(listed), "Computed anew:"
        )


@admin.register(OperatingPoint)
class OperatingPointAdmin(ReadOnlyAdmin):
    list_display = ("curve", "value", "axis", "level", "reason", "evaluation")
    list_filter = ("sweep", "code")
    list_select_related = ("evaluation__dataset", "evaluation__submission")


@admin.register(Measurement)
class MeasurementAdmin(ReadOnlyAdmin):
    list_display = ("metric", "value", "reason", "evaluation", "protocol")
    list_filter = ("metric", "evaluation__track")
    list_select_related = ("evaluation__dataset",)
    search_fields = ("metric", "evaluation__id", "evaluation__submission__id", "protocol")
    list_max_show_all = 0
