"""BM25: terms and formulas of bm25s, searched like any other sparse vectors (search/sparse.py).

A score is the sum over the query's terms of how often the query has it times what it scores in the document,
in float64, rounded once. bm25s's own search pads with documents that share no term with the query, and cuts
ties without looking at ids.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from evaluations.datasets import Documents
from evaluations.progress import Progress
from evaluations.search.order import id_ranks
from evaluations.sparsity.expansion import no_expansion
from evaluations.sparsity.names import lexical_model
from evaluations.sparsity.storage import sparse_storage
from evaluations.systems.abilities import QueryPath
from evaluations.systems.base import Kind, Option, RankedList, Run, Runtime, SystemSpec
from evaluations.systems.bm25_counts import CorpusCounts, Counts, counted
from evaluations.systems.bm25_impacts import Formula
from evaluations.systems.bm25_terms import Terms, VocabularyTokens, Words
from evaluations.systems.locations import fetch
from evaluations.systems.models import pin_model
from evaluations.tracks import Findings, not_applicable

if TYPE_CHECKING:
    from evaluations.search.found import Found

STEMMERS = (
    "english", "none", "porter", "arabic", "danish", "dutch", "finnish", "french", "german", "hungarian",
    "italian", "norwegian", "portuguese", "romanian", "russian", "spanish", "swedish", "turkish",
)  # fmt: skip


@dataclass(frozen=True)
class Query:
    """Distinct terms, ascending, and how often each occurs. `base`: what they score in every document."""

    terms: NDArray[np.int32]
    weights: NDArray[np.float32]
    base: float


class Bm25:
    """BM25 with the parameters of its spec. `files`: of the model whose vocabulary it takes, if it does.

    A query goes through `tokenise`, `encode` and `search_one`: its `query_path`, whose steps are timed.
    """

    def __init__(
        self,
        spec: SystemSpec,
        terms: Terms,
        files: Mapping[str, str] | None = None,
        threads: int | None = None,
    ) -> None:
        self.files = dict(files or {})
        self._options = spec.options
        self._terms = terms
        self._threads = threads or len(os.sched_getaffinity(0))
        self.document_ids: Sequence[str] = ()
        self._absent: NDArray[np.float32] | None = None
        self.query_vectors: csr_array | None = None

    @property
    def document_vectors(self) -> csr_array:
        """What each document's terms score, shape (documents, vocabulary); made of the index at each call."""
        return self._index.matrix()

    def index(self, documents: Documents | None, progress: Progress) -> None:
        from evaluations.search.sparse import SparseIndex  # here: the web process needs no compiler

        assert documents is not None  # noqa: S101 - `needs_corpus` promises it
        self.document_ids = documents.ids
        with progress.stage("encoding", total=len(documents)):
            corpus = CorpusCounts()
            for counts in self._counted(documents.texts, progress):
                corpus.add(counts)
            frequency = corpus.document_frequency(self._terms.size)
            formula = Formula(self._options, frequency, len(documents), corpus.mean_length)
            self._absent = formula.absent
            blocks = map(formula.impacts, corpus.taken())
            self._index = SparseIndex.from_blocks(blocks, id_ranks(documents.ids), self._terms.size)

    def retrieve(self, queries: Mapping[str, str], depth: int, progress: Progress) -> Run:
        with progress.stage("searching", total=len(queries)):
            encoded = [self.encode(self.tokenise(text)) for text in queries.values()]
            self.query_vectors = self._matrix(encoded)
            bases = np.array([query.base for query in encoded])
            found = self._index.search(self.query_vectors, depth, self._threads, progress.advance, bases)
        return Run(
            {
                query_id: RankedList([self.document_ids[row] for row in best.rows], best.scores)
                for query_id, best in zip(queries, found, strict=True)
            }
        )

    def tokenise(self, text: str) -> list[int]:
        """The query's terms, those of the vocabulary, in its order."""
        return self._terms.of_query(text)

    def encode(self, tokens: Sequence[int]) -> Query:
        terms, counts = np.unique(np.array(tokens, dtype=np.int32), return_counts=True)
        base = 0.0 if self._absent is None else float(counts @ self._absent[terms].astype(np.float64))
        return Query(terms, counts.astype(np.float32), base)

    def search_one(self, query: Query, k: int) -> "Found":
        """Rows are places of documents in the corpus that was indexed. In this thread."""
        return self._index.search_one(query.terms, query.weights, k, query.base)

    def query_path(self, k: int, threads: int) -> QueryPath:
        return QueryPath(self.tokenise, self.encode, partial(self.search_one, k=k), "none", "sparse")

    def encode_documents(self, texts: Sequence[str]) -> None:
        for _ in self._counted(texts, Progress()):
            pass

    def build_index(self, threads: int) -> Sequence[NDArray[Any]]:
        return self._index.rebuilt().arrays

    def sparsity(self) -> Findings:
        words = no_expansion("a document's terms are the words of its text")
        return self._representation() | words | lexical_model()

    def provenance(self) -> Mapping[str, str | int | None]:
        engine = f"impacts of bm25s {version('bm25s')}, term at a time"
        return {"device": "cpu", "precision": "fp32", "threads": self._threads, "engine": engine}

    def _counted(self, texts: Sequence[str], progress: Progress) -> Iterator[Counts]:
        for batch in self._terms.of_documents(texts):
            yield counted(batch)
            progress.advance(len(batch.lengths))

    def _matrix(self, queries: Sequence[Query]) -> csr_array:
        offsets = np.cumsum([0, *(len(query.terms) for query in queries)])
        terms = np.concatenate([np.empty(0, np.int32), *(query.terms for query in queries)])
        weights = np.concatenate([np.empty(0, np.float32), *(query.weights for query in queries)])
        return csr_array((weights, terms, offsets), shape=(len(queries), self._terms.size))

    def _representation(self) -> Findings:
        if not self._terms.size or self.query_vectors is None:
            none = not_applicable("no term is left after stop words", *_REPRESENTATION)
            return none | sparse_storage(self._index.nbytes)
        from evaluations.sparsity.postings import index_profile  # here, as above

        same = isinstance(self._terms, VocabularyTokens)  # words are numbered as a corpus has them
        return index_profile(self._index, self.query_vectors, same_dimensions=same)


_REPRESENTATION = (
    "query_active_dims_mean",
    "document_active_dims_mean",
    "query_sparsity_ratio",
    "document_sparsity_ratio",
    "flops",
    "postings_per_query_mean",
)


def _load(spec: SystemSpec, runtime: Runtime) -> Bm25:
    if spec.location is None:
        return Bm25(spec, Words(spec.options), threads=runtime.threads)
    model = fetch(spec.location, spec.revision, allow_path=True)
    return Bm25(spec, VocabularyTokens(model.folder), model.files, runtime.threads)


def _pin(spec: SystemSpec, *, allow_path: bool = False) -> SystemSpec:
    return pin_model(spec, allow_path=allow_path) if spec.location else spec


KIND = Kind(
    name="bm25",
    title="BM25",
    family="lexical",
    help="Okapi BM25 and its variants with bm25s's formulas, over stemmed words or over the tokens of a "
    "model's own vocabulary.",
    takes="vocabulary",
    needs_corpus=True,
    tracks=("retrieval", "sparsity", "latency"),
    options=(
        Option("k1", "float", 1.5, "Saturation of the term frequency.", minimum=0.0, maximum=10.0),
        Option("b", "float", 0.75, "Strength of the length normalisation.", minimum=0.0, maximum=1.0),
        Option(
            "method", "str", "lucene", "Variant of the formula.",
            choices=("lucene", "robertson", "atire", "bm25l", "bm25+"),
        ),
        Option(
            "stemmer", "str", "english", "Snowball stemmer; none with a model's vocabulary.",
            choices=STEMMERS, located="none",
        ),
        Option(
            "stopwords", "str", "english", "Stop words that are left out; none with a model's vocabulary.",
            choices=("english", "none"), located="none",
        ),
    ),
    load=_load,
    pin=_pin,
)  # fmt: skip
