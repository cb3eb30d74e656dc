"""Families of systems as pages show them: a label, and a class of the stylesheet that carries the colour."""

from collections.abc import Iterable

FAMILIES = {
    "lexical": "lexical",
    "inference-free": "inference-free sparse",
    "sparse": "sparse",
    "dense": "dense",
    "late-interaction": "late interaction",
    "rerank": "reranker",
    "fusion": "fusion",
    "run": "submitted run",
}


def of(found: Iterable[str]) -> list[tuple[str, str]]:
    """Each family once with its label: those above in their order, others after them by name."""
    present = set(found)
    return [
        (name, label(name)) for name in [*FAMILIES, *sorted(present - FAMILIES.keys())] if name in present
    ]


def label(family: str) -> str:
    return FAMILIES.get(family, family)
