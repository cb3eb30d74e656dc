"""Models that a sweep averages with the submitted one: on the web, earlier submissions, by their ids.

A submission's revision never changes, so that its id says exactly which files are meant.
"""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from django import forms

from evaluations.errors import EvaluationError
from evaluations.sparsity.sweeps import Curve, checkpoints_of, parse_sweeps
from evaluations.sparsity.sweeps.base import MOST_VALUES
from evaluations.sparsity.sweeps.checkpoints import PLUS, names_of
from evaluations.systems import Kind
from leaderboard.accounts.models import User
from leaderboard.catalog.members import Part
from leaderboard.catalog.models import Benchmark, Revision
from leaderboard.submissions import earlier
from leaderboard.submissions.earlier import Offered, unfit
from leaderboard.submissions.models import Submission, SubmissionCheckpoint
from leaderboard.submissions.refusals import Problems

NOUN = "checkpoint to average with"
TAKES = "ids of earlier submissions of the same kind, + between those of one point, commas between points"
MOST_AT_ONCE = 8  # so many ids fit the column of a point's value
MOST = 20  # that one request may name: each is fetched and loaded

PLACES = 4  # lists in the form; more can be written
ORDER = "checkpoint-order"
GROW, EACH, ALL = "grow", "each", "all"
ORDERS = ((GROW, "One more at every point"), (EACH, "Each by itself"), (ALL, "All at one point"))


def are_named_by(curve: Curve) -> bool:
    """Whether the curve's values are checkpoints."""
    return curve.variant.values.type == "checkpoint"


def checked(kind: Kind, written: str, field: str, problems: Problems) -> str:
    """The values with each submission by its whole id; empty where something is wrong, said at the field."""
    values = [[name.strip() for name in names_of(value)] for value in written.split(",")]
    names = list(dict.fromkeys(name for value in values for name in value))
    if problem := _problem_of_all(written, values, names):
        problems.add(field, problem)
        return ""
    known = {name: key for name in names if (key := _checked(kind, name, field, problems))}
    if len(known) < len(names):
        return ""
    return ",".join(PLUS.join(known[name] for name in value) for value in values)


def keep(submission: Submission) -> None:
    """Note what its sweeps average, so that it cannot be deleted before them."""
    names = checkpoints_of(parse_sweeps(submission.sweeps, submission.revision.kind))
    SubmissionCheckpoint.objects.bulk_create(
        SubmissionCheckpoint(submission=submission, checkpoint_id=UUID(name)) for name in names
    )


def parts_of(submissions: Iterable[Submission]) -> dict[UUID, dict[str, Part]]:
    """Of each submission that averages others: name in its sweeps' values to what is loaded. One query."""
    swept = [submission.pk for submission in submissions if submission.sweeps]
    if not swept:
        return {}
    related = SubmissionCheckpoint.objects.select_related("checkpoint__revision__system")
    found: dict[UUID, dict[str, Part]] = {}
    for row in related.filter(submission__in=swept).order_by("pk"):
        revision = row.checkpoint.revision
        part = revision.as_part(revision.system.name)
        found.setdefault(row.submission_id, {})[str(row.checkpoint_id)] = part
    return found


def titles(parts: Mapping[str, Part]) -> dict[str, str]:
    """How people call each: its system's name, with the eight characters that tell revisions apart."""
    return {name: f"{part.name} {part.version.removeprefix('sha256:')[:8]}" for name, part in parts.items()}


def place_field(place: int) -> str:
    """The form's list for a checkpoint; the first is 1."""
    return f"checkpoint-{place}"


PLACE_FIELDS = tuple(place_field(place) for place in range(1, PLACES + 1))


def offered(kind: Kind, benchmark: Benchmark, viewer: User, typed: Mapping[str, str]) -> list[Offered]:
    """What a person may choose from. `typed`: a form's fields so far; what is chosen in them stays."""
    chosen = [typed.get(name, "") for name in PLACE_FIELDS]
    word = typed.get(earlier.SEARCH, "")
    return earlier.offered((kind.name,), benchmark, (), viewer, chosen=chosen, word=word)


def form_fields(listed: Sequence[Offered]) -> dict[str, forms.Field]:
    """Lists to choose from, and what becomes of those that are chosen."""
    choices = [("", "none"), *((each.value, each.label) for each in listed)]
    fields: dict[str, forms.Field] = {
        name: forms.CharField(
            required=False,
            label=f"Checkpoint {place}",
            help_text="A submission of this kind: yours, or one on this board.",
            widget=forms.Select(choices=choices),
        )
        for place, name in enumerate(PLACE_FIELDS, start=1)
    }
    fields[ORDER] = forms.CharField(
        required=False,
        label="Points",
        initial=GROW,
        help_text="Each point is averaged with the submitted model.",
        widget=forms.Select(choices=ORDERS),
    )
    return fields


def values_in(sent: Mapping[str, str]) -> str:
    """The values that the form's lists say, as a person would have written them."""
    chosen = list(dict.fromkeys(value for name in PLACE_FIELDS if (value := sent.get(name, ""))))
    order = sent.get(ORDER)
    if order == EACH:
        return ",".join(chosen)
    if order == ALL:
        return PLUS.join(chosen)
    return ",".join(PLUS.join(chosen[:count]) for count in range(1, len(chosen) + 1))


def _problem_of_all(written: str, values: Sequence[Sequence[str]], names: Sequence[str]) -> str:
    if not written.strip():
        return f"Nothing is named to average with. It takes {TAKES}."
    if (count := max(map(len, values))) > MOST_AT_ONCE:
        return f"{count} submissions are averaged at once; leave out all but {MOST_AT_ONCE}."
    if len(values) > MOST_VALUES:
        return f"{len(values)} points are asked for; one curve may have {MOST_VALUES}."
    if len(names) > MOST:
        return f"{len(names)} submissions are named; one request may name {MOST}."
    return ""


def _checked(kind: Kind, name: str, field: str, problems: Problems) -> str | None:
    try:
        submission = earlier.named(name, (kind.name,), NOUN)
        if not _has_model(submission.revision):
            raise unfit(f"{submission.revision.system.name} has no model to be averaged; choose another.")
    except EvaluationError as error:
        problems.add(field, error.message)
        return None
    return str(submission.pk)


def _has_model(revision: Revision) -> bool:
    return bool(revision.location) or revision.uploads.filter(dataset=None).exists()
