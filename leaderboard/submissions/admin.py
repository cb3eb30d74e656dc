"""The queue as an operator sees it, and what may be done about it. The life cycle alone changes states."""

from collections.abc import Iterable
from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest

from leaderboard.accounts.models import User
from leaderboard.operators import ReadOnlyAdmin, ReadOnlyInline, report, shortened

from . import lifecycle, outbox, submit
from .models import Artefact, AuditEvent, Evaluation, State, Submission
from .refusals import Refused


class EvaluationInline(ReadOnlyInline):
    model = Evaluation
    fields = readonly_fields = (
        *("dataset", "track", "state", "stage", "attempts", "worker", "error_code", "error_message"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Evaluation]:
        return super().get_queryset(request).select_related("dataset").defer("report", "log")


class AuditEventInline(ReadOnlyInline):
    model = AuditEvent
    fields = readonly_fields = ("created_at", "actor", "action", "detail")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        return super().get_queryset(request).select_related("actor")


class StateFilter(admin.SimpleListFilter):
    """By the states of the evaluations, since a submission has none of its own."""

    title = "any evaluation is"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(str(value), str(label)) for value, label in State.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Submission]) -> QuerySet[Submission]:
        if self.value() not in State.values:
            return queryset
        having = Evaluation.objects.filter(state=self.value()).order_by().values("submission")
        return queryset.filter(pk__in=having)


@admin.register(Submission)
class SubmissionAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "overall", "owner", "kind", "device", "created_at", "id")
    list_filter = (StateFilter, "benchmark", "revision__kind", "device", "created_at")
    list_select_related = ("owner", "benchmark", "revision__system")
    search_fields = ("id", "revision__system__name", "owner__username", "note", "revision__location")
    date_hierarchy = "created_at"
    inlines = (EvaluationInline, AuditEventInline)
    actions = ("cancel", "run_again", "publish_again")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Submission]:
        states = Prefetch("evaluations", Evaluation.objects.only("id", "state", "submission_id"))
        return super().get_queryset(request).prefetch_related(states)

    @admin.display(description="state")
    def overall(self, submission: Submission) -> str:
        return submission.state

    @admin.display(ordering="revision__kind")
    def kind(self, submission: Submission) -> str:
        return submission.revision.kind

    @admin.action(description="Cancel what is not over yet", permissions=["operate"])
    def cancel(self, request: HttpRequest, chosen: QuerySet[Submission]) -> None:
        ended = sum(bool(lifecycle.cancel(submission, _operator(request))) for submission in chosen)
        report(request, ended, len(chosen), "Cancelled")

    @admin.action(description="Run again, as new submissions of their owners", permissions=["operate"])
    def run_again(self, request: HttpRequest, chosen: QuerySet[Submission]) -> None:
        queued = 0
        for submission in chosen.select_related("owner", "revision", "benchmark"):
            try:
                submit.rerun(submission, _operator(request))
                queued += 1
            except (Refused, PermissionDenied) as error:
                messages.error(request, f"{submission}: {str(error) or 'not allowed to you'}")
        report(request, queued, len(chosen), "Queued")

    @admin.action(description="Send the workers a hint again", permissions=["operate"])
    def publish_again(self, request: HttpRequest, chosen: QuerySet[Submission]) -> None:
        _publish(request, Evaluation.objects.filter(submission__in=chosen))


class QueueFilter(admin.SimpleListFilter):
    """What an operator asks first when something is stuck."""

    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [
            ("claimable", "claimable"),
            ("held", "running, lease alive"),
            ("expired", "running, lease expired"),
            ("unpublished", "claimable, no hint sent"),
            ("failed", "failed"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Evaluation]) -> QuerySet[Evaluation]:
        found: dict[str | None, Q] = {
            "claimable": lifecycle.claimable(),
            "held": Q(state=State.RUNNING, lease_until__gte=Now()),
            "expired": lifecycle.lease_expired(),
            "unpublished": lifecycle.claimable() & Q(published_at__isnull=True),
            "failed": Q(state=State.FAILED),
        }
        return queryset.filter(found.get(self.value(), Q()))


class ArtefactInline(ReadOnlyInline):
    model = Artefact
    fields = readonly_fields = ("name", "file", "size_bytes", "sha256")


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnlyAdmin):
    """The queue: who holds what until when, what waits, what failed and with which code."""

    list_display = (
        *("system", "dataset", "track", "state", "stage", "percent", "worker", "lease_until", "attempts"),
        *("publications", "published_at", "error_code", "error", "created_at"),
    )
    list_display_links = ("system",)
    list_filter = (QueueFilter, "state", "track", "submission__device", "error_code", "created_at")
    list_select_related = ("submission__revision__system", "dataset")
    search_fields = ("id", "submission__id", "submission__revision__system__name", "worker", "error_code")
    ordering = ("-created_at", "id")
    show_facets = admin.ShowFacets.ALWAYS
    inlines = (ArtefactInline,)
    actions = ("publish_again",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Evaluation]:
        return super().get_queryset(request).defer("report", "log")

    @admin.display(ordering="submission__revision__system__name")
    def system(self, evaluation: Evaluation) -> str:
        return evaluation.submission.revision.system.name

    @admin.display(description="progress", ordering="progress")
    def percent(self, evaluation: Evaluation) -> str:
        return "" if evaluation.progress is None else f"{evaluation.progress:.0%}"

    @admin.display(description="error")
    def error(self, evaluation: Evaluation) -> str:
        return shortened(evaluation.error_message)

    @admin.action(description="Send the workers a hint again", permissions=["operate"])
    def publish_again(self, request: HttpRequest, chosen: QuerySet[Evaluation]) -> None:
        _publish(request, chosen)


def _operator(request: HttpRequest) -> User:
    """The admin lets nobody else in."""
    return cast(User, request.user)


def _publish(request: HttpRequest, rows: QuerySet[Evaluation]) -> None:
    """A spare hint does no harm: the worker that reads it finds nothing to claim."""
    waiting = rows.filter(lifecycle.claimable()).select_related("submission")
    needed = len(outbox.hints(waiting))
    report(request, outbox.publish(waiting), needed, "Sent hints:")


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "action", "actor", "submission", "detail")
    list_filter = ("action", "created_at")
    list_select_related = ("actor", "submission__revision__system", "submission__benchmark")
    search_fields = ("submission__id", "actor__username", "detail")
    date_hierarchy = "created_at"


@admin.register(Artefact)
class ArtefactAdmin(ReadOnlyAdmin):
    list_display = ("name", "evaluation", "size_bytes", "file")
    list_filter = ("name",)
    list_select_related = ("evaluation__dataset",)
    search_fields = ("evaluation__id", "evaluation__submission__id", "file", "sha256")
