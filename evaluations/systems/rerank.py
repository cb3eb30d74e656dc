"""Reranking: a cross-encoder reads the query with each of the first documents of another system."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from evaluations.datasets import Documents
from evaluations.progress import Progress
from evaluations.search.found import Found
from evaluations.search.order import id_ranks, top_k
from evaluations.systems import safety
from evaluations.systems.abilities import PathPart, QueryPath
from evaluations.systems.base import Kind, Members, Option, RankedList, Run, Runtime, System, SystemSpec
from evaluations.systems.composite import (
    Parts,
    combined,
    found_of,
    inspect_members,
    pin_members,
    warnings_of,
)
from evaluations.systems.locations import ResolvedModel, fetch
from evaluations.systems.model_profile import stored_profile
from evaluations.systems.models import MAX_LENGTH, PRECISION, inspect_model, pin_model
from evaluations.tracks import Findings

if TYPE_CHECKING:
    from evaluations.systems.cross_encoder import PairScorer

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class ReadPairs:
    """A query's text and a document's, which is read when its pair is asked for: all may not fit the memory.

    `asked` has the place of the document in `texts`.
    """

    asked: Sequence[tuple[str, int]]
    texts: Sequence[str]

    def __len__(self) -> int:
        return len(self.asked)

    def __getitem__(self, place: int) -> tuple[str, str]:
        query, row = self.asked[place]
        return query, self.texts[row]


class Rerank:
    """A cross-encoder, and the first stage whose documents it reads."""

    def __init__(
        self, scorer: "PairScorer", model: ResolvedModel, spec: SystemSpec, runtime: Runtime
    ) -> None:
        self._scorer = scorer
        self.files = model.files
        self._folder = model.folder
        self._spec = spec
        self._parts = Parts(spec.members, runtime)
        self._depth = cast(int, spec.options["depth"])
        self._documents = Documents((), ())
        self.document_ids: Sequence[str] = ()

    @property
    def members(self) -> Sequence[System]:
        return self._parts.systems

    def finish_lists(self, finish: Callable[[Run], Run]) -> None:
        self._parts.finish_with(finish)

    def choose(self, dataset: str, document_ids: Collection[str] | None) -> None:
        self._parts.choose(dataset, document_ids)

    def index(self, documents: Documents | None, progress: Progress) -> None:
        assert documents is not None  # noqa: S101 - `needs_corpus` promises it
        self.document_ids = documents.ids
        self._documents = documents
        self._parts.index(documents, progress)

    def retrieve(self, queries: Mapping[str, str], depth: int, progress: Progress) -> Run:
        runs = self._parts.retrieve(queries, depth, progress)
        rows = self._rows(runs[0])
        lists = self._readable(runs[0], queries, rows)
        asked = [
            (queries[query_id], rows[document_id])
            for query_id, ranked in lists.items()
            for document_id in ranked.document_ids[: self._depth]
        ]
        pairs = ReadPairs(asked, self._documents.texts)
        with progress.stage("reranking", total=len(pairs)):
            scores = self._scorer.scores(pairs, progress.advance)
        return Run(self._reranked(lists, scores), warnings_of(runs, self._spec.members))

    def name_queries(self, queries: Mapping[str, str]) -> None:
        self._parts.name_queries(queries)

    def query_path(self, k: int, threads: int) -> QueryPath:
        """Tokenising and encoding are the first stage's; pairs are read in the search, which finds them.

        The first stage is searched no deeper than is read or returned; the first k are the same.
        """
        scorer = self._scorer.on_threads(threads)
        places = {document_id: place for place, document_id in enumerate(self.document_ids)}

        def find(text: str, lists: Sequence[RankedList]) -> Found:
            (ranked,) = lists
            asked = [(text, places[document_id]) for document_id in ranked.document_ids[: self._depth]]
            pairs = ReadPairs(asked, self._documents.texts)
            best = reranked(ranked, scorer.scores(pairs, lambda _: None))
            return found_of(RankedList(best.document_ids[:k], best.scores[:k]), places)

        settings = scorer.settings
        own = (PathPart("neural", None, settings.precision),)
        return self._parts.query_path(max(self._depth, k), threads, find, own=own, device=settings.device)

    def sparsity(self) -> Findings:
        """Beside the index, a reranker needs the documents' texts: their bytes are in the details."""
        (first_stage,) = self._parts.sparsity()
        counts = stored_profile(self._scorer.model, self._scorer.config, self._folder)
        counts |= Findings({"index_bytes": 0})
        kind = self._spec.members[0].kind
        whole = combined({"reranker": counts, f"first stage ({kind})": first_stage})
        text_bytes = sum(len(text.encode()) for text in self._documents.texts)
        return whole | Findings(details={"document_text_bytes": text_bytes})

    def provenance(self) -> Mapping[str, str | int | None]:
        return {**self._scorer.provenance(), **self._parts.provenance()}

    def _rows(self, run: Run) -> dict[str, int]:
        """The place in the corpus of each document that the run names and the corpus has."""
        named = {document_id for ranked in run.lists.values() for document_id in ranked.document_ids}
        return {each: row for row, each in enumerate(self._documents.ids) if each in named}

    def _readable(
        self, run: Run, queries: Mapping[str, str], rows: Mapping[str, int]
    ) -> dict[str, RankedList]:
        """A submitted run may name documents that the corpus lacks: there is no text of them to read."""
        lists = {query_id: run.lists[query_id] for query_id in queries if query_id in run.lists}
        return {query_id: _only(ranked, rows) for query_id, ranked in lists.items()}

    def _reranked(self, lists: Mapping[str, RankedList], scores: Float32) -> dict[str, RankedList]:
        found, start = {}, 0
        for query_id, ranked in lists.items():
            read = min(self._depth, len(ranked))
            found[query_id] = reranked(ranked, scores[start : start + read])
            start += read
        return found


def reranked(ranked: RankedList, scores: Float32) -> RankedList:
    """The first len(scores) documents by their new scores, then the others as they were.

    The others' scores are made so that they say the same in float32: see `tail_scores`.
    """
    read = len(scores)
    if not read:
        return ranked
    order = top_k(scores, id_ranks(ranked.document_ids[:read]), read)
    head = [ranked.document_ids[place] for place in order]
    tail = tail_scores(scores.min(), len(ranked) - read)
    return RankedList([*head, *ranked.document_ids[read:]], np.concatenate([scores[order], tail]))


def tail_scores(lowest: np.float32, count: int) -> Float32:
    """Strictly decreasing scores below `lowest`, shape (count,): the whole numbers below it.

    Where whole numbers are too close for float32, twice its spacing there is the step.
    """
    step = max(1.0, 2.0 * float(np.spacing(np.abs(np.float32(lowest)))))
    below: Float32 = (np.floor(float(lowest)) - step * np.arange(1, count + 1)).astype(np.float32)
    return below


def _only(ranked: RankedList, known: Collection[str]) -> RankedList:
    kept = [place for place, document_id in enumerate(ranked.document_ids) if document_id in known]
    if len(kept) == len(ranked):
        return ranked
    return RankedList([ranked.document_ids[place] for place in kept], ranked.scores[kept])


def _load(spec: SystemSpec, runtime: Runtime) -> Rerank:
    from evaluations.systems.cross_encoder import PairScorer  # here, since it brings torch

    model = fetch(str(spec.location), spec.revision, allow_path=True)
    safety.check_folder(model.folder)
    return Rerank(PairScorer.load(model.folder, spec.options, runtime), model, spec, runtime)


def _pin(spec: SystemSpec, *, allow_path: bool = False) -> SystemSpec:
    return pin_members(pin_model(spec, allow_path=allow_path), allow_path=allow_path)


def _inspect(spec: SystemSpec) -> Mapping[str, object]:
    return {**inspect_model(spec), **inspect_members(spec)}


KIND = Kind(
    name="rerank",
    title="Reranker",
    family="rerank",
    help="A sentence-transformers CrossEncoder that reads the first documents of BM25 or of another system.",
    takes="model",
    needs_corpus=True,
    tracks=("retrieval", "sparsity", "latency"),
    options=(
        Option(
            "depth", "int", 100, "How many of the first stage's documents are read; the others follow.",
            minimum=1, maximum=1000,
        ),
        PRECISION,
        MAX_LENGTH,
    ),
    load=_load,
    pin=_pin,
    inspect=_inspect,
    members=Members(1, 1, noun="first stage"),
)  # fmt: skip
