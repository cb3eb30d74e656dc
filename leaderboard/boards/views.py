"""Pages of the boards: each view parses, asks one thing of `queries`, and answers."""

from dataclasses import dataclass
from uuid import UUID

from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.text import slugify
from django.views.decorators.http import require_safe

from evaluations.latency.operating_points import TOTAL
from leaderboard.catalog.models import Benchmark, Dataset, RevisionFile, System
from leaderboard.submissions import checkpoints
from leaderboard.submissions.models import Artefact, Evaluation, State

from . import charts, curves, exports, families, points, queries, recipes, swept, system_page, tables
from .filters import EntryFilter
from .rows import DEFAULT_ORDER, Row
from .times import TimesChoice, choices, chosen

BOARD_TARGET = "board"  # the element that htmx swaps


@dataclass(frozen=True)
class _BoardRequest:
    """A board as its address asks for it."""

    board: queries.Board
    filters: EntryFilter
    rows: list[Row]
    view: str
    axis: str
    order: str
    times: list[TimesChoice]
    shown: TimesChoice | None


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    summaries = queries.summaries()
    return render(request, "boards/home.html", {"summaries": summaries, "recent": queries.recent()})


@require_safe
def leaderboard(request: HttpRequest, benchmark: str) -> HttpResponse:
    """The whole page, or only the part that sorting and filtering change where htmx asks for it."""
    asked = _asked(request, benchmark)
    swap = request.headers.get("HX-Target") == BOARD_TARGET
    response = render(
        request, "boards/board.html" if swap else "boards/leaderboard.html", _context(request, asked)
    )
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response


@require_safe
def leaderboard_csv(request: HttpRequest, benchmark: str) -> HttpResponse:
    asked = _asked(request, benchmark)
    response = HttpResponse(exports.csv_of(asked.board, asked.rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{slugify(benchmark)}.csv"'
    return response


@require_safe
def leaderboard_chart(request: HttpRequest, benchmark: str) -> HttpResponse:
    asked = _asked(request, benchmark)
    links = {str(row.system_id): reverse("system", args=[row.system_id]) for row in asked.rows}
    figure = charts.tradeoff(asked.rows, asked.axis, links)
    return HttpResponse(figure.to_json(), content_type="application/json")


@require_safe
def system(request: HttpRequest, system_id: UUID) -> HttpResponse:
    found = get_object_or_404(
        System.objects.select_related("owner").prefetch_related("revisions"), pk=system_id
    )
    results = system_page.results_of(found)
    context = {
        "system": found,
        "family": families.label(found.family),
        "results": results,
        "has_curves": any(result.figures for result in results),
        "by_time": _is_by_time(request),
        "submissions": system_page.submissions_of(found),
    }
    return render(request, "boards/system.html", context)


@require_safe
def sweep_figure(request: HttpRequest, evaluation_id: UUID, sweep: str) -> HttpResponse:
    """The curves of one sweep on one dataset, for the browser to draw."""
    evaluation = get_object_or_404(Evaluation, pk=evaluation_id, state=State.SUCCEEDED)
    every = swept.swept_of(evaluation.submission_id)
    own = next((each for each in every if each.evaluation == evaluation), None)
    if own is None:
        raise Http404
    averaged = checkpoints.parts_of([own.evaluation.submission]).get(evaluation.submission_id, {})
    found = points.figure_of(own, sweep, checkpoints.titles(averaged), by_time=_is_by_time(request))
    if found is None:
        raise Http404
    return HttpResponse(curves.figure(found).to_json(), content_type="application/json")


@require_safe
def points_csv(request: HttpRequest, submission_id: UUID) -> HttpResponse:  # noqa: ARG001 - a view
    """Every operating point of a submission, unrounded."""
    found = swept.swept_of(submission_id)
    if not found:
        raise Http404
    name = slugify(found[0].evaluation.submission.revision.system.name) or "system"
    response = HttpResponse(points.csv_of(found), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}-points.csv"'
    return response


@require_safe
def artefact(request: HttpRequest, evaluation_id: UUID, name: str) -> FileResponse:  # noqa: ARG001 - a view
    """A file that a succeeded evaluation left. Results are public, and so is what they were computed from."""
    found = get_object_or_404(
        Artefact.objects.select_related("evaluation__dataset", "evaluation__submission__revision__system"),
        evaluation=evaluation_id,
        evaluation__state=State.SUCCEEDED,
        name=name,
    )
    system_name = found.evaluation.submission.revision.system.name
    return _download(
        found.file.name, f"{slugify(system_name) or 'system'}-{found.evaluation.dataset.name}-{name}"
    )


@require_safe
def upload(request: HttpRequest, file_id: int) -> FileResponse:
    """A submitted run file, once it has results: they cannot be reproduced without it.

    An archive of a model or of vectors is its owner's, and the staff's.
    """
    related = RevisionFile.objects.select_related("dataset", "revision__system")
    found = get_object_or_404(related, pk=file_id)
    if found.dataset is None:
        if request.user.pk != found.revision.system.owner_id and not request.user.is_staff:
            raise Http404
        return _download(found.file.name, recipes.download_name(found))
    evaluations = Evaluation.objects.filter(submission__revision=found.revision_id, dataset=found.dataset)
    if not evaluations.filter(state=State.SUCCEEDED).exists():
        raise Http404
    return _download(found.file.name, recipes.download_name(found))


@require_safe
def datasets(request: HttpRequest) -> HttpResponse:
    found = Dataset.objects.prefetch_related("benchmarks").order_by("name", "-created_at")
    return render(request, "boards/datasets.html", {"datasets": found})


@require_safe
def dataset(request: HttpRequest, name: str) -> HttpResponse:
    """The newest version under that name first; older ones stay, because published numbers rest on them."""
    versions = list(Dataset.objects.filter(name=name).prefetch_related("benchmarks").order_by("-created_at"))
    if not versions:
        raise Http404
    shown = [(version, queries.source_of(version)) for version in versions]
    return render(request, "boards/dataset.html", {"name": name, "versions": shown})


@require_safe
def method(request: HttpRequest) -> HttpResponse:
    return render(request, "boards/method.html")


def _is_by_time(request: HttpRequest) -> bool:
    """Whether curves are to be drawn over milliseconds; else over what their sweep changes."""
    return request.GET.get("x") == TOTAL


def _asked(request: HttpRequest, benchmark: str) -> _BoardRequest:
    try:
        board = queries.board(benchmark)
    except Benchmark.DoesNotExist as error:
        raise Http404 from error
    filters = EntryFilter(request.GET, queryset=queries.entries(board.benchmark))
    order = request.GET.get("sort", DEFAULT_ORDER)
    view, axis = request.GET.get("show", ""), request.GET.get("x", "")
    times = choices(board.benchmark)
    shown = chosen(times, request.GET.get("times", ""), request.GET.get("host", ""))
    return _BoardRequest(
        board=board,
        filters=filters,
        times=times,
        shown=shown,
        rows=queries.rows(board, filters.qs, shown=shown),
        view=view if view in tables.VIEWS else "overview",
        axis=axis if axis in charts.AXES else "parameters",
        order=order,
    )


def _context(request: HttpRequest, asked: _BoardRequest) -> dict[str, object]:
    table = tables.table_of(asked.board, asked.rows, asked.view, asked.order)
    table.request = request
    table.paginate(per_page=tables.ROWS_PER_PAGE)
    table.page = table.paginator.get_page(request.GET.get("page"))
    drawn = charts.points_of(asked.rows, asked.axis)
    return {
        "board": asked.board,
        "benchmarks": Benchmark.objects.all(),
        "filters": asked.filters,
        "is_filtered": any(asked.filters.form.cleaned_data.values()),
        "rows": asked.rows,
        "table": table,
        "views": tables.VIEWS,
        "view": asked.view,
        "axes": charts.AXES,
        "axis": asked.axis,
        "order": next(iter(table.order_by)),
        "times": asked.times,
        "shown": asked.shown,
        "others": [choice for choice in asked.times if choice is not asked.shown],
        "points": len(drawn),
        "left_out": charts.left_out(asked.rows, asked.axis),
        "front": [point.row for point in charts.front(drawn)],
        "families": families.of(point.row.family for point in drawn),
        "underway": queries.underway(asked.board.benchmark),
    }


def _download(path: str | None, filename: str) -> FileResponse:
    """Always as a file to save, never as a page of this site."""
    if not path or not default_storage.exists(path):
        raise Http404
    return FileResponse(default_storage.open(path), as_attachment=True, filename=filename)
