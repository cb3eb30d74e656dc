"""Which tracks a submission asks for: all that its system has, unless it says otherwise."""

from collections.abc import Iterable

from evaluations.systems import Kind, SystemSpec, kind_of, tracks_of, untimed_member
from leaderboard.catalog.models import Dataset
from leaderboard.submissions.models import Track
from leaderboard.submissions.refusals import Problems

FIELD = "tracks"
NEEDED = Track.RETRIEVAL  # a row without it would have no place on a board


def of_spec(spec: SystemSpec) -> tuple[Track, ...]:
    there = tracks_of(spec)
    return tuple(track for track in Track if track.value in there)


def chosen(spec: SystemSpec, asked: str, problems: Problems) -> tuple[Track, ...]:
    """`asked`: names with commas between, or nothing for all."""
    there = of_spec(spec)
    names = _names(asked)
    for name in names:
        if name not in there:
            problems.add(FIELD, _refusal(spec, name, there))
    if names and NEEDED not in names:
        problems.add(FIELD, f"The {NEEDED} track is always measured; choose among: {', '.join(there)}.")
    return tuple(track for track in there if not names or track in names)


def check_corpora(asked: str, datasets: Iterable[Dataset], problems: Problems) -> None:
    """Latency that is asked for by name needs the documents of every dataset, for BM25 beside the system."""
    without = [dataset.name for dataset in datasets if not dataset.has_corpus]
    if Track.LATENCY in _names(asked) and without:
        reason = f"Latency needs the documents, and there is no corpus here for {', '.join(without)}"
        problems.add(FIELD, f"{reason}; leave latency out.")


def is_measured(track: Track, dataset: Dataset) -> bool:
    """Where tracks were left open, latency is not among those of a dataset without its documents."""
    return track != Track.LATENCY or dataset.has_corpus


def choices(kind: Kind) -> list[tuple[str, str]]:
    """For a form: everything, or everything but latency, which has to wait for a quiet machine."""
    there = of_spec(SystemSpec(kind.name))
    if Track.LATENCY not in there:
        return []
    others = [track for track in there if track != Track.LATENCY]
    return [
        ("", "Quality, sparsity and latency"),
        (",".join(others), "Quality and sparsity: no times"),
    ]


def help_text(kind: Kind) -> str:
    said = "Latency waits for a quiet machine, after the rest; a noisy session publishes nothing."
    if kind.members.maximum:
        return f"{said} It is left out where a member is a run or vectors: there is no query to time."
    return said if kind.encodes_queries else f"{said} Of vectors the search alone is timed."


def _names(asked: str) -> list[str]:
    return [name.strip() for name in asked.split(",") if name.strip()]


def _refusal(spec: SystemSpec, name: str, there: tuple[Track, ...]) -> str:
    title, listed = kind_of(spec.kind).title, ", ".join(there)
    member = untimed_member(spec)
    if name == Track.LATENCY and member:
        return f"{title} cannot be timed with {member}; leave latency out: {listed}."
    return f"{title} has no track {name[:40]!r}; it has: {listed}."
