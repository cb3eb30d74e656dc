"""Machines and workers to look at; calibrations to retire after a change that a profile does not tell."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from leaderboard.operators import ReadOnlyAdmin, report, shortened

from .models import BaselineCheck, Calibration, HostProfile, Worker


@admin.register(HostProfile)
class HostProfileAdmin(ReadOnlyAdmin):
    list_display = ("hash", "title", "created_at")
    search_fields = ("hash",)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("name", "profile", "queues", "status", "short_reason", "started_at", "seen_at")
    list_filter = ("status", "queues")
    list_select_related = ("profile",)
    search_fields = ("name",)

    @admin.display(description="reason")
    def short_reason(self, worker: Worker) -> str:
        return shortened(worker.reason)


@admin.register(BaselineCheck)
class BaselineCheckAdmin(ReadOnlyAdmin):
    list_display = ("profile", "device", "system", "metric", "expected", "measured", "outcome", "checked_at")
    list_filter = ("outcome", "device", "system")
    list_select_related = ("profile",)


@admin.register(Calibration)
class CalibrationAdmin(ReadOnlyAdmin):
    list_display = ("profile", "measured_at", "rejected", "jumped", "is_retired")
    list_filter = ("is_retired",)
    list_select_related = ("profile",)
    actions = ("retire",)

    @admin.display(description="jumped")
    def jumped(self, calibration: Calibration) -> str:
        return shortened(", ".join(calibration.jumps))

    @admin.action(description="Retire: sessions are held against what follows", permissions=["operate"])
    def retire(self, request: HttpRequest, chosen: QuerySet[Calibration]) -> None:
        report(request, chosen.filter(is_retired=False).update(is_retired=True), chosen.count(), "retired")
