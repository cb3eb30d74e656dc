"""The catalogue: datasets and benchmarks to keep, systems and revisions to look at."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet, URLField
from django.forms import BaseInlineFormSet
from django.http import HttpRequest

from leaderboard.operators import Admin, Inline, ReadOnlyAdmin, ReadOnlyInline, shortened

from .benchmarks import Member, check_columns
from .errors import CatalogueError
from .models import Benchmark, BenchmarkDataset, Dataset, Revision, RevisionFile, System
from .signals import benchmark_changed

IDENTITY = ("name", "split", "self_hits", "corpus_checksum", "queries_checksum", "qrels_checksum")
FACTS = ("documents", "queries", "judgements", "protocol", "warnings", "created_at")


@admin.register(Dataset)
class DatasetAdmin(Admin):
    """Added by `manage.py add_dataset`, which reads the content. Only source and licence may be corrected."""

    list_display = (
        "name",
        "split",
        "documents",
        "queries",
        "judgements",
        "self_hits",
        "protocol",
        "boards",
        "source",
    )
    list_filter = ("split", "self_hits", "benchmarks")
    search_fields = ("name", "source", "protocol", "corpus_checksum", "queries_checksum", "qrels_checksum")
    fields = ("source", "licence", *IDENTITY, *FACTS)
    readonly_fields = (*IDENTITY, *FACTS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Dataset]:
        found: QuerySet[Dataset] = super().get_queryset(request)
        return found.annotate(board_count=Count("benchmarks"))

    @admin.display(ordering="board_count")
    def boards(self, dataset: Any) -> int:
        return int(dataset.board_count)


class BenchmarkDatasetFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    def clean(self) -> None:
        super().clean()
        kept = [form.cleaned_data for form in self.forms if form.is_valid() and not self._is_gone(form)]
        # A form that may not be changed holds the dataset's key in place of the dataset.
        rows = [row for row in kept if isinstance(row.get("dataset"), Dataset)]
        try:
            check_columns([Member(row["dataset"], row["group"]) for row in rows])
        except CatalogueError as error:
            raise ValidationError(str(error)) from error

    def _is_gone(self, form: Any) -> bool:
        return bool(form.cleaned_data.get("DELETE"))


class BenchmarkDatasetInline(Inline):
    """To be changed before the first submission only; later, `add_benchmark --force` does it knowingly."""

    model = BenchmarkDataset
    formset = BenchmarkDatasetFormSet
    fields = ("position", "dataset", "group")
    autocomplete_fields = ("dataset",)
    ordering = ("position",)
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Benchmark | None = None) -> bool:
        return super().has_add_permission(request, obj) and not _has_submissions(obj)

    def has_change_permission(self, request: HttpRequest, obj: Benchmark | None = None) -> bool:
        return super().has_change_permission(request, obj) and not _has_submissions(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Benchmark | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not _has_submissions(obj)


def _has_submissions(benchmark: Benchmark | None) -> bool:
    return benchmark is not None and benchmark.submissions.exists()


@admin.register(Benchmark)
class BenchmarkAdmin(Admin):
    list_display = ("name", "title", "position", "dataset_count", "created_at")
    list_editable = ("position",)
    search_fields = ("name", "title")
    inlines = (BenchmarkDatasetInline,)
    actions = ("refresh_entries",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Benchmark]:
        found: QuerySet[Benchmark] = super().get_queryset(request)
        return found.annotate(members_count=Count("datasets"))

    def get_readonly_fields(self, request: HttpRequest, obj: Benchmark | None = None) -> tuple[str, ...]:
        """The name is the board's address."""
        return ("name", "created_at") if obj else ("created_at",)

    @admin.display(description="datasets", ordering="members_count")
    def dataset_count(self, benchmark: Any) -> int:
        return int(benchmark.members_count)

    @admin.action(description="Compute the rows of the chosen boards anew", permissions=["change"])
    def refresh_entries(self, request: HttpRequest, chosen: QuerySet[Benchmark]) -> None:
        for benchmark in chosen:
            benchmark_changed.send(sender=Benchmark, benchmark=benchmark)
        messages.success(request, f"Computed {len(chosen)} boards anew.")


class RevisionInline(ReadOnlyInline):
    model = Revision
    fields = readonly_fields = ("kind", "location", "version", "created_at")


@admin.register(System)
class SystemAdmin(Admin):
    """What its owner said about it may be corrected; what it is may not."""

    list_display = ("name", "family", "owner", "organisation", "licence", "created_at")
    list_filter = ("family", "created_at")
    list_select_related = ("owner",)
    search_fields = ("name", "organisation", "owner__username")
    fields = (
        "name",
        "organisation",
        "licence",
        "url",
        "description",
        "training_data",
        "owner",
        "family",
        "created_at",
    )
    readonly_fields = ("owner", "family", "created_at")
    formfield_overrides = {URLField: {"assume_scheme": "https"}}
    inlines = (RevisionInline,)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


class RevisionFileInline(ReadOnlyInline):
    model = RevisionFile
    fields = readonly_fields = ("dataset", "file", "size_bytes", "sha256")


@admin.register(Revision)
class RevisionAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "kind", "location", "short_version", "created_at")
    list_filter = ("kind", "created_at")
    list_select_related = ("system",)
    search_fields = ("system__name", "location", "version", "content_hash")
    inlines = (RevisionFileInline,)

    @admin.display(description="version", ordering="version")
    def short_version(self, revision: Revision) -> str:
        return shortened(revision.version)
