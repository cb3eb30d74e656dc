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

from evaluations.latency.operating_points import PointTimer, PointTimes, claimed_share_removed, point_metrics
from evaluations.search.found import Found
from evaluations.search.maxsim import TokenVectors
from evaluations.search.order import id_ranks
from evaluations.sparsity.representation import without_zeros
from evaluations.sparsity.sweeps.figures import Figures
from evaluations.sparsity.sweeps.vectors import Encoded
from evaluations.systems.abilities import QueryPath, encodes
from evaluations.systems.base import System

COUNTED_QUERIES = 8  # whose operations are counted: they differ by their length alone

Search = Callable[[Any], Found]


@dataclass
class Stopwatch:
    """`path` is the unmodified system's, timed when the first point is. `queries`: texts by id."""

    timer: PointTimer
    path: QueryPath
    queries: Mapping[str, str]
    k: int
    _unmodified: PointTimes | None = field(default=None, init=False)
    _operations: Mapping[str, float] | None = field(default=None, init=False)

    def unmodified(self, system: System) -> Figures:
        """To be called while the system is as submitted."""
        if self._unmodified is None:
            self._unmodified = self.timer.time(self.path)
            self._operations = self._counted(system)
        return self._metrics(self._unmodified)

    def of_vectors(self, encoded: Encoded) -> Figures:
        rows = {self.queries[query_id]: row for row, query_id in enumerate(encoded.query_ids)}
        search = search_among(encoded, self.k)
        found: dict[str, Any] = {text: query_of(encoded, row) for text, row in rows.items()}

        def tokenise(text: str) -> tuple[str, Any]:
            return text, self.path.tokenise(text)

        def encode(tokenised: tuple[str, Any]) -> Any:
            text, tokens = tokenised
            self.path.encode(tokens)  # for its time: what the point searches for is known
            return found[text]

        changed = replace(self.path, tokenise=tokenise, encode=encode, search=search)
        return self._metrics(self.timer.time(changed))

    def of_model(self, system: System, encoded: Encoded) -> Figures:
        """To be called while the model is changed."""
        assert encodes(system)  # noqa: S101 - a sweep that changes a model has one
        encoder = system.encoder
        changed = replace(
            self.path,
            tokenise=lambda text: encoder.tokenise([text], "query"),
            encode=lambda features: encoder.forward(features, "query"),
            search=search_among(encoded, self.k),
        )
        metrics = self._metrics(self.timer.time(changed))
        operations = self._counted(system)
        if self._operations is not None and operations is not None:
            removed = claimed_share_removed(self._operations, operations)
            metrics["query_flop_removed_share"] = removed
        return metrics

    def _metrics(self, times: PointTimes) -> Figures:
        assert self._unmodified is not None  # noqa: S101 - every curve begins with that point
        return {**point_metrics(self._unmodified, times)}

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


def search_among(encoded: Encoded, k: int) -> Search:
    """One query at a time, exactly, in one thread."""
    ranks = id_ranks(encoded.document_ids)
    if encoded.form == "sparse":
        from evaluations.search.sparse import SparseIndex  # here, since it brings numba

        sparse = SparseIndex.build(csr_array(encoded.documents), ranks)
        return lambda query: sparse.search_one(query.indices, query.data, k)
    if encoded.form == "dense":
        from evaluations.search.dense import DenseIndex  # here, as above

        dense = DenseIndex.build(encoded.documents, ranks, threads=1)
        return lambda query: dense.search(query, k, threads=1)[0]
    from evaluations.search.maxsim import MaxSimIndex

    several = MaxSimIndex.build(encoded.documents, ranks, mean=encoded.mean)
    return lambda query: several.search(query, k)[0]


def query_of(encoded: Encoded, row: int) -> Any:
    """The vectors of one query, in the form that is searched for."""
    if encoded.form == "sparse":
        return without_zeros(csr_array(encoded.queries[[row]]))
    if encoded.form == "dense":
        return encoded.queries[row : row + 1]
    own = slice(encoded.queries.offsets[row], encoded.queries.offsets[row + 1])
    vectors = encoded.queries.vectors[own]
    return TokenVectors(vectors, np.array([0, len(vectors)], dtype=np.int64))
