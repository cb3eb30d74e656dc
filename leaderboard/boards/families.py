"""Families of systems as pages show them: a label, and a class of the stylesheet that carries the colour."""

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


def label(family: str) -> str:
    return FAMILIES.get(family, family)
