"""Which tracks a submission asks for: all that its kind has, unless it says otherwise."""

from evaluations.systems import Kind
from leaderboard.submissions.models import Track
from leaderboard.submissions.refusals import Problems

FIELD = "tracks"
NEEDED = Track.RETRIEVAL  # a row without it would have no place on a board


def of_kind(kind: Kind) -> tuple[Track, ...]:
    return tuple(track for track in Track if track.value in kind.tracks)


def chosen(kind: Kind, asked: str, problems: Problems) -> tuple[Track, ...]:
    """`asked`: names with commas between, or nothing for all."""
    there = of_kind(kind)
    names = [name.strip() for name in asked.split(",") if name.strip()]
    listed = ", ".join(there)
    for name in names:
        if name not in there:
            problems.add(FIELD, f"{kind.title} has no track {name[:40]!r}; it has: {listed}.")
    if names and NEEDED not in names:
        problems.add(FIELD, f"The {NEEDED} track is always measured; choose among: {listed}.")
    return tuple(track for track in there if not names or track in names)


def choices(kind: Kind) -> list[tuple[str, str]]:
    """For a form: everything, or everything but latency, which has to wait for a quiet machine."""
    there = of_kind(kind)
    if Track.LATENCY not in there:
        return []
    others = [track for track in there if track != Track.LATENCY]
    return [
        ("", "Quality, sparsity and latency"),
        (",".join(others), "Quality and sparsity: no times"),
    ]
