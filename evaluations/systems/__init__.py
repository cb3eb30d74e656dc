"""What can be submitted: one file a kind. An adapter imports heavy libraries only when it loads."""

from collections.abc import Mapping, Sequence

from evaluations.errors import EvaluationError
from evaluations.systems import bm25, dense, fusion, late_interaction, rerank, run_file, sparse, vectors
from evaluations.systems.base import Kind, Option, RankedList, Run, Runtime, System, SystemSpec
from evaluations.tracks import LATENCY

__all__ = [
    "KINDS", "WEB_KINDS", "Kind", "Option", "RankedList", "Run", "Runtime", "System", "SystemSpec",
    "check_tracks", "kind_of", "needs_corpus", "tracks_of", "untimed_member",
]  # fmt: skip

KINDS: Mapping[str, Kind] = {
    "bm25": bm25.KIND,
    "dense": dense.KIND,
    "sparse": sparse.KIND,
    "late-interaction": late_interaction.KIND,
    "rerank": rerank.KIND,
    "fusion": fusion.KIND,
    "run": run_file.KIND,
    "vectors": vectors.KIND,
}

WEB_KINDS: Mapping[str, Kind] = {name: kind for name, kind in KINDS.items() if kind.web}


def kind_of(name: str) -> Kind:
    """Raises EvaluationError `SYSTEM-KIND` with the kinds that there are."""
    if name not in KINDS:
        raise EvaluationError(
            "SYSTEM-KIND", f"no kind of system {name[:60]!r}; there are: {', '.join(KINDS)}"
        )
    return KINDS[name]


def needs_corpus(spec: SystemSpec) -> bool:
    """Whether the system, or one that it is made of, needs the documents."""
    return kind_of(spec.kind).needs_corpus or any(needs_corpus(member) for member in spec.members)


def tracks_of(spec: SystemSpec) -> tuple[str, ...]:
    """What can be measured of it: what its kind has, latency only where all its members can be timed."""
    found = kind_of(spec.kind).tracks
    return tuple(track for track in found if track != LATENCY) if untimed_member(spec) else found


def untimed_member(spec: SystemSpec) -> str:
    """The first member whose queries cannot be timed, such as `member 2 (run)`; empty where all can."""
    members = kind_of(spec.kind).members
    for place, member in enumerate(spec.members, start=1):
        kind = kind_of(member.kind)
        if LATENCY not in kind.tracks or not kind.encodes_queries:
            return f"{members.noun}{f' {place}' if members.maximum > 1 else ''} ({kind.name})"
    return ""


def check_tracks(spec: SystemSpec, tracks: Sequence[str]) -> None:
    """Raises EvaluationError `TRACK-UNKNOWN` or `TRACK-MEMBER` for a track that the system does not have."""
    there, untimed = tracks_of(spec), untimed_member(spec)
    if LATENCY in tracks and untimed:
        problem = f"{spec.kind} has no latency with {untimed}, whose queries cannot be timed"
        raise EvaluationError("TRACK-MEMBER", f"{problem}; leave latency out: --tracks {','.join(there)}")
    for track in tracks:
        if track not in there:
            problem = f"{spec.kind} has no track {track[:40]!r}; it has: {', '.join(there)}"
            raise EvaluationError("TRACK-UNKNOWN", problem)
    if not tracks:
        raise EvaluationError("TRACK-UNKNOWN", f"name at least one track of: {', '.join(there)}")
