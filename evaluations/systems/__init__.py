"""What can be submitted: one file a kind. An adapter imports heavy libraries only when it loads."""

from collections.abc import Mapping

from evaluations.errors import EvaluationError
from evaluations.systems import bm25, dense, fusion, late_interaction, rerank, run_file, sparse, vectors
from evaluations.systems.base import Kind, Option, RankedList, Run, Runtime, System, SystemSpec

__all__ = [
    "KINDS", "WEB_KINDS", "Kind", "Option", "RankedList", "Run", "Runtime", "System", "SystemSpec", "kind_of",
    "needs_corpus",
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
