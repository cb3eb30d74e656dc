"""Earlier submissions that a request names: which can be chosen, which is meant, what stands against it."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Prefetch, Q

from evaluations.errors import EvaluationError
from evaluations.systems import KINDS
from leaderboard.accounts.models import User
from leaderboard.catalog.models import Benchmark, Dataset
from leaderboard.submissions import queries, texts
from leaderboard.submissions.models import Evaluation, State, Submission

SEARCH = "member-search"  # the form's field that narrows its lists
MOST_OFFERED = 100
ENDED = {State.FAILED: "has failed", State.CANCELLED: "was cancelled"}


@dataclass(frozen=True)
class Offered:
    """A line of the form's list. `value`: a submission's id, or a kind."""

    value: str
    label: str


def offered(
    kinds: Collection[str],
    benchmark: Benchmark,
    datasets: Sequence[Dataset],
    viewer: User,
    *,
    chosen: Iterable[str] = (),
    word: str = "",
) -> list[Offered]:
    """A person's own submissions, and those on this board, by name.

    Each revision once; none that failed, none that lacks a run for one of the datasets. What is `chosen`
    stays, whatever `word` in a name is searched for. Three queries.
    """
    found: dict[UUID, Offered] = {}
    for submission in _candidates(kinds, benchmark, viewer, chosen, word):
        revision = submission.revision
        if revision.pk not in found and not missing(submission, datasets):
            found[revision.pk] = Offered(str(submission.pk), _label(submission, viewer))
        if len(found) == MOST_OFFERED:
            break
    return sorted(found.values(), key=lambda each: each.label.casefold())


def named(sent: str, kinds: Collection[str], noun: str) -> Submission:
    """The submission of this id, which is to serve as a `noun`. Raises EvaluationError with what to say."""
    submission = _by_id(sent)
    revision, name = submission.revision, submission.revision.system.name
    if revision.kind not in kinds:
        problem = f"{name} is of kind {revision.kind} and cannot be a {noun}"
        raise unfit(f"{problem}; these kinds can: {', '.join(kinds)}.")
    if submission.state in ENDED:
        raise unfit(f"{name} {ENDED[submission.state]}; choose one that succeeded or is on its way.")
    return submission


def missing(submission: Submission, datasets: Sequence[Dataset]) -> list[str]:
    """Datasets that it has no files of, where its files are of datasets: runs, vectors."""
    kind = KINDS.get(submission.revision.kind)
    if kind is None or kind.takes not in ("file", "folder"):
        return []
    there = {evaluation.dataset_id for evaluation in submission.evaluations.all()}
    return [dataset.name for dataset in datasets if dataset.pk not in there]


def unfit(message: str) -> EvaluationError:
    """Its code is never shown."""
    return EvaluationError("UNFIT", message)


def as_id(text: str) -> UUID | None:
    try:
        return UUID(texts.storable(text))
    except ValueError:
        return None


def _by_id(sent: str) -> Submission:
    key = as_id(sent)
    found = _loaded().filter(pk=key).first() if key else None
    if found is None:
        raise unfit(f"There is no submission {sent[:60]!r}; write the id that its address ends in.")
    return found


def _candidates(
    kinds: Collection[str], benchmark: Benchmark, viewer: User, chosen: Iterable[str], word: str
) -> Iterator[Submission]:
    """Those that are chosen already, then the others by name; a revision may come several times."""
    rows = _loaded().filter(revision__kind__in=kinds)
    rows = rows.filter(Q(benchmark=benchmark) | Q(owner=viewer))
    rows = rows.exclude(evaluations__state__in=list(ENDED))
    if keys := [key for each in chosen if (key := as_id(each))]:
        yield from rows.filter(pk__in=keys)
    if word := texts.storable(word).strip():
        rows = rows.filter(revision__system__name__icontains=word)
    yield from rows.order_by("revision__system__name", "-created_at", "pk")[: 4 * MOST_OFFERED]


def _loaded() -> "queries.Submissions":
    """With what the list says of each, and the datasets that each was evaluated on."""
    evaluations = Evaluation.objects.only("id", "state", "submission_id", "dataset_id").order_by()
    rows = Submission.objects.select_related("owner", "revision__system")
    return rows.prefetch_related(Prefetch("evaluations", evaluations))


def _label(submission: Submission, viewer: User) -> str:
    revision = submission.revision
    whose = "" if submission.owner_id == viewer.pk else f", by {submission.owner.get_username()}"
    return (
        f"{revision.system.name} ({revision.kind}, {revision.short}{whose}, {submission.state.label.lower()})"
    )
