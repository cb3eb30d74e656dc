"""Milliseconds at a point of a curve, where the latency track is asked for with the sweep.

A query of a point is tokenised and encoded as any other, and searched among the point's documents. Where the
point changes vectors and no model, what is searched for is the query's vector as the point has it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from evaluations.latency.operating_points import (
    REMOVED,
    PointTimer,
    PointTimes,
    claimed_share_removed,
    no_point_metrics,
    point_metrics,
)
from evaluations.latency.session import Settings
from evaluations.search.found import Found, SparseQuery
from evaluations.search.maxsim import TokenVectors
from evaluations.search.order import id_ranks
from evaluations.sparsity.representation import without_zeros
from evaluations.sparsity.sweeps.base import Sides
from evaluations.sparsity.sweeps.figures import Figures
from evaluations.sparsity.sweeps.vectors import Encoded
from evaluations.systems.abilities import QueryPath, Timed, encodes
from evaluations.systems.base import System

COUNTED_QUERIES = 8  # whose operations are counted: they differ by their length alone

Search = Callable[[Any], Found]


@dataclass(frozen=True)
class Timing:
    """What a point has of the latency track. Where it has no times, `untimed` says why."""

    figures: Figures
    untimed: str | None = None


@dataclass
class Stopwatch:
    """`path` is the unmodified system's, which took `times`. `queries`: texts by id."""

    timer: PointTimer
    path: QueryPath
    times: PointTimes
    queries: Mapping[str, str]
    _operations: Mapping[str, float] | None = field(default=None, init=False)

    def unmodified(self, system: System) -> Timing:
        """To be called while the system is as submitted."""
        self._operations = self._operations or self._counted(system)
        return self._timing(self.times)

    def of_vectors(self, encoded: Encoded) -> Timing:
        rows = {self.queries[query_id]: row for row, query_id in enumerate(encoded.query_ids)}
        search = search_among(encoded, self.timer.settings)
        found: dict[str, Any] = {text: query_of(encoded, row) for text, row in rows.items()}

        def tokenise(text: str) -> tuple[str, Any]:
            return text, self.path.tokenise(text)

        def encode(tokenised: tuple[str, Any]) -> Any:
            text, tokens = tokenised
            self.path.encode(tokens)  # for its time: what the point searches for is known
            return found[text]

        changed = replace(self.path, tokenise=tokenise, encode=encode, search=search)
        return self._timing(self.timer.time(changed))

    def of_model(self, system: System, encoded: Encoded, sides: Sides) -> Timing:
        """To be called while the model is changed. `sides`: whose texts are encoded with the changed one."""
        timing = self._timing(self.timer.time(self.changed_path(system, encoded, sides)))
        operations = self._operations if sides == "documents" else self._counted(system)
        if self._operations is None or operations is None:
            return timing
        # It is counted, so that no noise can take it away.
        removed: Figures = {REMOVED: claimed_share_removed(self._operations, operations)}
        return Timing(timing.figures | removed, timing.untimed)

    def changed_path(self, system: System, encoded: Encoded, sides: Sides) -> QueryPath:
        """The changed system's own way, so that it does what the unmodified one's does and no more.

        One that was changed for one side alone was given no documents, or queries that it is not to encode:
        that side's part is then of the unmodified system.
        """
        assert isinstance(system, Timed)  # noqa: S101 - as every kind that a sweep can change the model of
        settings = self.timer.settings
        own = system.query_path(settings.k, settings.threads)
        if sides == "documents":
            return replace(self.path, search=own.search)
        return replace(own, search=search_among(encoded, settings)) if sides == "queries" else own

    def _timing(self, found: PointTimes | str) -> Timing:
        if isinstance(found, str):
            return Timing(no_point_metrics(), found)
        return Timing(point_metrics(self.times, found))

    def _counted(self, system: object) -> Mapping[str, float] | None:
        """Operations of a query, mean of a few; None where no model runs."""
        if not encodes(system) or self.path.encoder != "neural":
            return None
        from evaluations.sparsity.compute import ComputeProbe, compute_metrics, eager  # they bring torch
        from evaluations.sparsity.probe import transformers_in

        encoder, texts = system.encoder, list(self.queries.values())[:COUNTED_QUERIES]

        def encode(text: str) -> None:
            encoder.forward(encoder.tokenise([text], "query"), "query")

        with eager(transformers_in(encoder.module)):
            probe = ComputeProbe(encoder.module)
            return compute_metrics("query", [probe.run(partial(encode, text)) for text in texts])


def search_among(encoded: Encoded, settings: Settings) -> Search:
    """One query at a time, exactly, as the systems themselves search."""
    k, threads, ranks = settings.k, settings.threads, id_ranks(encoded.document_ids)
    if encoded.form == "sparse":
        from evaluations.search.sparse import SparseIndex  # here, since it brings numba

        sparse = SparseIndex.build(csr_array(encoded.documents), ranks)
        return lambda query: sparse.search_one(*_terms_of(query), k)
    if encoded.form == "dense":
        from evaluations.search.dense import DenseIndex  # here, as above

        dense = DenseIndex.build(encoded.documents, ranks, threads)
        return lambda query: dense.search(query, k, threads)[0]
    from evaluations.search.maxsim import MaxSimIndex

    several = MaxSimIndex.build(encoded.documents, ranks, mean=encoded.mean)
    return lambda query: several.search(query, k)[0]


def _terms_of(query: Any) -> tuple[Any, Any]:
    """Terms and weights: a table gives them as they are, a model as one row."""
    return (query.terms, query.weights) if isinstance(query, SparseQuery) else (query.indices, query.data)


def query_of(encoded: Encoded, row: int) -> Any:
    """The vectors of one query, in the form that is searched for."""
    if encoded.form == "sparse":
        return without_zeros(csr_array(encoded.queries[[row]]))
    if encoded.form == "dense":
        return encoded.queries[row : row + 1]
    own = slice(encoded.queries.offsets[row], encoded.queries.offsets[row + 1])
    vectors = encoded.queries.vectors[own]
    return TokenVectors(vectors, np.array([0, len(vectors)], dtype=np.int64))
