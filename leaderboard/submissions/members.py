"""Members of a system made of others: which can be chosen, and what becomes of those that were."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Prefetch, Q

from evaluations.errors import EvaluationError
from evaluations.systems import KINDS, WEB_KINDS, Kind
from leaderboard.accounts.models import User
from leaderboard.catalog.members import Part
from leaderboard.catalog.models import Benchmark, Dataset
from leaderboard.submissions import options, queries, texts
from leaderboard.submissions.models import Evaluation, State, Submission
from leaderboard.submissions.refusals import Problems

SEARCH = "member-search"
MOST_OFFERED = 100
MOST_NAMED = 32  # members of one request that are looked at: more than any kind takes
ENDED = {State.FAILED: "has failed", State.CANCELLED: "was cancelled"}


@dataclass(frozen=True)
class MemberChoice:
    """A member as it was asked for: an earlier submission's system, or a kind that needs no files."""

    submission: str = ""
    kind: str = ""
    options: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        return {"submission": self.submission, "kind": self.kind, "options": dict(self.options)}


@dataclass(frozen=True)
class Offered:
    """A line of the form's list. `value`: a submission's id, or a kind."""

    value: str
    label: str


def member_field(place: int) -> str:
    """The form's field for a member; the first is 1."""
    return f"member-{place}"


def plain_kinds(kind: Kind) -> list[Kind]:
    """Those that can be members by their name alone: BM25."""
    allowed = (WEB_KINDS[name] for name in kind.members.kinds if name in WEB_KINDS)
    return [each for each in allowed if each.takes in ("nothing", "vocabulary")]


def offered(
    kind: Kind, benchmark: Benchmark, datasets: Sequence[Dataset], viewer: User, typed: Mapping[str, str]
) -> list[Offered]:
    """What a person may choose from: BM25, their own submissions, and those on this board, by name.

    Each revision once; none that failed, none that lacks a run for one of the datasets. `typed`: a form's
    fields so far; what is chosen in them stays, whatever is searched for.
    """
    plain = [Offered(each.name, f"{each.title} with its settings as they are") for each in plain_kinds(kind)]
    found: dict[UUID, Offered] = {}
    for submission in _candidates(kind, benchmark, viewer, typed):
        revision = submission.revision
        if revision.pk not in found and not _missing(submission, datasets):
            found[revision.pk] = Offered(str(submission.pk), _label(submission, viewer))
        if len(found) == MOST_OFFERED:
            break
    return [*plain, *sorted(found.values(), key=lambda each: each.label.casefold())]


def resolve(
    kind: Kind, asked: Sequence[MemberChoice], datasets: Sequence[Dataset], problems: Problems
) -> tuple[Part, ...]:
    """Each member's whole spec as it is now. What is wrong is said at the member's own field."""
    parts: list[Part] = []
    for place, choice in enumerate(asked[:MOST_NAMED], start=1):
        try:
            parts.append(_part(kind, choice, datasets))
        except EvaluationError as error:
            problems.add(member_field(place), error.message)
    wanted = kind.members
    if not wanted.minimum <= len(asked) <= wanted.maximum:
        place = min(len(asked) + 1, wanted.maximum)
        said = f"{kind.title} needs {wanted.wanted}; {len(asked)} given."
        problems.add(member_field(place) if wanted.maximum else "members", _too_many(kind, said))
    return tuple(parts)


def _too_many(kind: Kind, said: str) -> str:
    return said if kind.members.maximum else f"{kind.title} is made of no other systems; leave them out."


def _part(kind: Kind, choice: MemberChoice, datasets: Sequence[Dataset]) -> Part:
    """Raises EvaluationError with what to say; its code is never shown."""
    if choice.submission and choice.kind:
        raise _unfit("Name a submission or a kind, not both.")
    return _of_submission(kind, choice, datasets) if choice.submission else _of_kind(kind, choice)


def _of_kind(kind: Kind, choice: MemberChoice) -> Part:
    plain = {each.name: each for each in plain_kinds(kind)}
    if choice.kind not in plain:
        there = ", ".join(plain) or "none"
        example = '{"submission": "ID"}'
        raise _unfit(f"{choice.kind[:60]!r} cannot be named alone; write {example}, or a kind of: {there}.")
    member = plain[choice.kind]
    found = options.checked(member, choice.options)
    if found.problems:
        raise _unfit("; ".join(message for _, message in found.problems))
    return Part(member.name, options=found.values, name=member.title)


def _of_submission(kind: Kind, choice: MemberChoice, datasets: Sequence[Dataset]) -> Part:
    submission = _submission(choice.submission)
    revision, name = submission.revision, submission.revision.system.name
    if choice.options:
        raise _unfit(f"{name} is taken as it was submitted; leave options out.")
    if revision.kind not in kind.members.kinds:
        problem = f"{name} is of kind {revision.kind} and cannot be a {kind.members.noun}"
        raise _unfit(f"{problem}; these kinds can: {', '.join(kind.members.kinds)}.")
    if submission.state in ENDED:
        raise _unfit(f"{name} {ENDED[submission.state]}; choose one that succeeded or is on its way.")
    if missing := _missing(submission, datasets):
        what = "run" if KINDS[revision.kind].takes == "file" else "vectors"
        raise _unfit(f"{name} has no {what} for {', '.join(missing)}; choose another, or submit them.")
    return Part(
        *(revision.kind, revision.location, revision.version, revision.options, revision.files),
        revision=revision.pk,
        system=revision.system_id,
        name=name,
    )


def _submission(sent: str) -> Submission:
    key = _uuid(sent)
    found = _loaded().filter(pk=key).first() if key else None
    if found is None:
        raise _unfit(f"There is no submission {sent[:60]!r}; write the id that its address ends in.")
    return found


def _candidates(
    kind: Kind, benchmark: Benchmark, viewer: User, typed: Mapping[str, str]
) -> Iterator[Submission]:
    """Those that are chosen already, then the others by name; a revision may come several times."""
    rows = _loaded().filter(revision__kind__in=kind.members.kinds)
    rows = rows.filter(Q(benchmark=benchmark) | Q(owner=viewer))
    rows = rows.exclude(evaluations__state__in=list(ENDED))
    if chosen := _chosen(kind, typed):
        yield from rows.filter(pk__in=chosen)
    if word := texts.storable(typed.get(SEARCH, "")).strip():
        rows = rows.filter(revision__system__name__icontains=word)
    yield from rows.order_by("revision__system__name", "-created_at", "pk")[: 4 * MOST_OFFERED]


def _chosen(kind: Kind, typed: Mapping[str, str]) -> list[UUID]:
    fields = (typed.get(member_field(place), "") for place in range(1, kind.members.maximum + 1))
    found = (_uuid(value) for value in fields)
    return [value for value in found if value]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(texts.storable(text))
    except ValueError:
        return None


def _loaded() -> "queries.Submissions":
    """With what the list says of each, and the datasets that each was evaluated on."""
    evaluations = Evaluation.objects.only("id", "state", "submission_id", "dataset_id").order_by()
    rows = Submission.objects.select_related("owner", "revision__system")
    return rows.prefetch_related(Prefetch("evaluations", evaluations))


def _missing(submission: Submission, datasets: Sequence[Dataset]) -> list[str]:
    """Datasets that it has no files of, where its files are of datasets: runs, vectors."""
    kind = KINDS.get(submission.revision.kind)
    if kind is None or kind.takes not in ("file", "folder"):
        return []
    there = {evaluation.dataset_id for evaluation in submission.evaluations.all()}
    return [dataset.name for dataset in datasets if dataset.pk not in there]


def _label(submission: Submission, viewer: User) -> str:
    revision = submission.revision
    whose = "" if submission.owner_id == viewer.pk else f", by {submission.owner.get_username()}"
    return (
        f"{revision.system.name} ({revision.kind}, {revision.short}{whose}, {submission.state.label.lower()})"
    )


def _unfit(message: str) -> EvaluationError:
    return EvaluationError("MEMBER", message)
