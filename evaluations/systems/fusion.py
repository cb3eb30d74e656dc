"""Fusion: several systems as one. Their lists are put on one scale, weighted and added."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

import numpy as np

from evaluations.datasets import Documents
from evaluations.errors import EvaluationError
from evaluations.progress import Progress
from evaluations.protocol import DEPTH
from evaluations.search.found import Found
from evaluations.search.fusion import NORMALISATIONS, Float64, Scaled, fuse, reciprocal_rank
from evaluations.systems.abilities import QueryPath
from evaluations.systems.base import Kind, Members, Option, RankedList, Run, Runtime, System, SystemSpec
from evaluations.systems.composite import (
    Parts,
    combined,
    found_of,
    inspect_members,
    pin_members,
    warnings_of,
)
from evaluations.tracks import Findings

METHODS = ("weighted-sum", "rrf")
RRF_K = 60
MOST_WEIGHT = 1000.0
_EMPTY = RankedList((), np.empty(0, dtype=np.float32))


class Fusion:
    """Members, and how their lists become one."""

    def __init__(self, spec: SystemSpec, runtime: Runtime) -> None:
        self._spec = spec
        self._weights = weights_of(spec)
        self._parts = Parts(spec.members, runtime)
        self.document_ids: Sequence[str] = ()

    @property
    def members(self) -> Sequence[System]:
        return self._parts.systems

    def finish_lists(self, finish: Callable[[Run], Run]) -> None:
        self._parts.finish_with(finish)

    def choose(self, dataset: str, document_ids: Collection[str] | None) -> None:
        self._parts.choose(dataset, document_ids)

    def index(self, documents: Documents | None, progress: Progress) -> None:
        self.document_ids = documents.ids if documents else ()
        self._parts.index(documents, progress)

    def retrieve(self, queries: Mapping[str, str], depth: int, progress: Progress) -> Run:
        runs = self._parts.retrieve(queries, depth, progress)
        with progress.stage("searching", total=len(queries)):
            lists = {query_id: self._of_query(runs, query_id, depth, progress) for query_id in queries}
        return Run(lists, warnings_of(runs, self._spec.members))

    def name_queries(self, queries: Mapping[str, str]) -> None:
        self._parts.name_queries(queries)

    def query_path(self, k: int, threads: int) -> QueryPath:
        """Members' lists are as deep as an evaluation's, since a scale may read all of a list."""
        places = {document_id: place for place, document_id in enumerate(self.document_ids)}

        def find(_: str, lists: Sequence[RankedList]) -> Found:
            return found_of(self._fused(lists, k), places)

        return self._parts.query_path(DEPTH, threads, find)

    def sparsity(self) -> Findings:
        names = [f"member {place} ({spec.kind})" for place, spec in enumerate(self._spec.members, start=1)]
        return combined(dict(zip(names, self._parts.sparsity(), strict=True)))

    def provenance(self) -> Mapping[str, str | int | None]:
        return self._parts.provenance()

    def _of_query(self, runs: Sequence[Run], query_id: str, depth: int, progress: Progress) -> RankedList:
        progress.advance()
        return self._fused([run.lists.get(query_id, _EMPTY) for run in runs], depth)

    def _fused(self, lists: Sequence[RankedList], depth: int) -> RankedList:
        pairs = [(ranked.document_ids, ranked.scores) for ranked in lists]
        return RankedList(*fuse(pairs, self._weights, self._scale, depth))

    @property
    def _scale(self) -> Callable[[Float64], Scaled]:
        options = self._spec.options
        if options["method"] == "rrf":
            return partial(reciprocal_rank, k=float(cast(int, options["rrf_k"])))
        return NORMALISATIONS[str(options["normalisation"])]


def weights_of(spec: SystemSpec) -> list[float]:
    """One a member, as the option's text says. Raises EvaluationError `OPTION-RANGE`."""
    text = str(spec.options["weights"])
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError:
        weights = []
    if len(weights) != len(spec.members):
        problem = f"option weights: {text[:60]!r} must be {len(spec.members)} numbers, one a member"
        raise EvaluationError("OPTION-RANGE", f"{problem}, such as {_equal(len(spec.members))}")
    in_range = all(math.isfinite(weight) and 0 <= weight <= MOST_WEIGHT for weight in weights)
    if not in_range or not any(weights):
        problem = f"option weights: {text[:60]!r} must be numbers from 0 to {MOST_WEIGHT:g}, not all 0"
        raise EvaluationError("OPTION-RANGE", problem)
    return weights


def _complete(spec: SystemSpec) -> SystemSpec:
    """What is not said follows from the method; what the method does not read is refused."""
    options = dict(spec.options)
    is_rrf = options["method"] == "rrf"
    unused, needed, default = (
        ("normalisation", "rrf_k", RRF_K) if is_rrf else ("rrf_k", "normalisation", "min-max")
    )
    if options[unused] is not None:
        problem = f"option {unused}: the method {options['method']} does not read it; leave it out"
        raise EvaluationError("OPTION-UNUSED", problem)
    if options[needed] is None:
        options[needed] = default
    if options["weights"] is None:
        options["weights"] = _equal(len(spec.members))
    weights = weights_of(replace(spec, options=options))
    options["weights"] = ",".join(f"{weight!r}".removesuffix(".0") for weight in weights)
    return replace(spec, options=options)


def _equal(members: int) -> str:
    return ",".join(["1"] * members)


KIND = Kind(
    name="fusion",
    title="Fusion",
    family="fusion",
    help="Two or more systems as one: scores put on one scale, weighted and added, or reciprocal ranks.",
    takes="nothing",
    needs_corpus=False,
    tracks=("retrieval", "sparsity", "latency"),
    options=(
        Option("method", "str", "weighted-sum", "How lists become one.", choices=METHODS),
        Option(
            "normalisation", "str", None,
            "For a weighted sum: the scale that scores are put on; unset: min-max.",
            choices=tuple(NORMALISATIONS),
        ),
        Option("weights", "str", None, "One number a member in their order, as 0.7,0.3; unset: all equal."),
        Option(
            "rrf_k", "int", None, "For rrf: the k of 1 / (k + rank); unset: 60.", minimum=1, maximum=10_000
        ),
    ),
    load=Fusion,
    pin=pin_members,
    inspect=inspect_members,
    members=Members(2, 8),
    complete=_complete,
)  # fmt: skip
