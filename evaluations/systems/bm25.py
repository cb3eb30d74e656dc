"""BM25 by bm25s: its tokeniser and its scores, our order and our cut.

bm25s's own top-k pads with documents that share no term with the query, and cuts ties without looking at ids.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

from evaluations.datasets import Documents
from evaluations.progress import Progress
from evaluations.search.order import id_ranks, top_k
from evaluations.sparsity.representation import representation
from evaluations.systems.base import Kind, Option, RankedList, Run, Runtime, SystemSpec
from evaluations.tracks import Findings, not_applicable

STEMMERS = (
    "english", "none", "porter", "arabic", "danish", "dutch", "finnish", "french", "german", "hungarian",
    "italian", "norwegian", "portuguese", "romanian", "russian", "spanish", "swedish", "turkish",
)  # fmt: skip


class Bm25:
    """BM25 with the parameters of its spec."""

    def __init__(self, spec: SystemSpec) -> None:
        import Stemmer

        self._options = spec.options
        name = str(spec.options["stemmer"])
        self._stemmer = None if name == "none" else Stemmer.Stemmer(name)
        self._document_ids: Sequence[str] = ()
        self._ranks = id_ranks(())
        self._query_terms: list[list[int]] = []

    def index(self, documents: Documents | None, progress: Progress) -> None:
        import bm25s

        assert documents is not None  # noqa: S101 - `needs_corpus` promises it
        self._document_ids = documents.ids
        self._ranks = id_ranks(documents.ids)
        with progress.stage("encoding", total=len(documents)):
            tokens = self._tokens(list(documents.texts))
            self._engine: Any = bm25s.BM25(
                k1=self._options["k1"], b=self._options["b"], method=self._options["method"], backend="numpy"
            )
            with np.errstate(invalid="ignore"):  # a corpus without a word has a mean length of 0
                self._engine.index(tokens, create_empty_token=False, show_progress=False)
            progress.advance(len(documents))
        self._postings = csc_array(
            tuple(self._engine.scores[key] for key in ("data", "indices", "indptr")),
            shape=(len(documents), len(self._engine.vocab_dict)),
        )

    def retrieve(self, queries: Mapping[str, str], depth: int, progress: Progress) -> Run:
        lists = {}
        with progress.stage("searching", total=len(queries)):
            for query_id, tokens in zip(queries, self._tokens(list(queries.values())), strict=True):
                terms = self._engine.get_tokens_ids(tokens)
                self._query_terms.append(terms)
                lists[query_id] = self._ranked(terms, depth)
                progress.advance()
        return Run(lists)

    def sparsity(self) -> Findings:
        return self._representation() | self._storage() | Findings({"parameters": 0, "active_parameters": 0})

    def provenance(self) -> Mapping[str, str | int | None]:
        return {"device": "cpu", "precision": "fp32", "threads": 1, "engine": f"bm25s {version('bm25s')}"}

    def _tokens(self, texts: list[str]) -> list[list[str]]:
        import bm25s

        stopwords = "english" if self._options["stopwords"] == "english" else []
        tokens: list[list[str]] = bm25s.tokenize(
            texts, stopwords=stopwords, stemmer=self._stemmer, return_ids=False, show_progress=False
        )
        return tokens

    def _ranked(self, terms: list[int], depth: int) -> RankedList:
        """Only documents that share a term of non-zero weight: BM25L and BM25+ score the others too."""
        candidates = self._sharing(terms)
        if not len(candidates):
            return RankedList((), np.empty(0, dtype=np.float32))
        scores = self._engine.get_scores_from_ids(terms)[candidates]
        best = top_k(scores, self._ranks[candidates], depth)
        return RankedList([self._document_ids[i] for i in candidates[best]], scores[best])

    def _sharing(self, terms: list[int]) -> NDArray[np.int64]:
        """Positions of the documents that share a term with the query, ascending."""
        found = np.zeros(len(self._document_ids), dtype=bool)
        for term in set(terms):
            column = slice(*self._postings.indptr[term : term + 2])
            found[self._postings.indices[column][self._postings.data[column] != 0]] = True
        return np.flatnonzero(found)

    def _representation(self) -> Findings:
        vocabulary = self._postings.shape[1]
        if not vocabulary or not self._query_terms:
            return not_applicable("no term is left after stop words", *_REPRESENTATION)
        rows = [(row, term) for row, terms in enumerate(self._query_terms) for term in terms]
        places = np.array(rows, dtype=np.int64).reshape(-1, 2).T
        queries = csr_array(
            (np.ones(len(rows)), (places[0], places[1])), shape=(len(self._query_terms), vocabulary)
        )
        return representation(queries, csr_array(self._postings))

    def _storage(self) -> Findings:
        """What bm25s writes to disk: its three arrays and the vocabulary."""
        arrays = (self._postings.data, self._postings.indices, self._postings.indptr)
        vocabulary = json.dumps(self._engine.vocab_dict, ensure_ascii=False).encode()
        stored = "float32 scores by term, with document numbers, term offsets and the vocabulary"
        return Findings(
            {"index_bytes": sum(int(array.nbytes) for array in arrays) + len(vocabulary)},
            details={
                "index_engine": f"bm25s {version('bm25s')}",
                "index_dtype": "float32",
                "index_content": stored,
            },
        )


_REPRESENTATION = (
    "query_active_dims_mean",
    "document_active_dims_mean",
    "query_sparsity_ratio",
    "document_sparsity_ratio",
    "flops",
    "postings_per_query_mean",
)


def _load(spec: SystemSpec, _: Runtime) -> Bm25:
    return Bm25(spec)


KIND = Kind(
    name="bm25",
    title="BM25",
    family="lexical",
    help="Okapi BM25 and its variants, computed by bm25s with PyStemmer.",
    takes="nothing",
    needs_corpus=True,
    tracks=("retrieval", "sparsity"),
    options=(
        Option("k1", "float", 1.5, "Saturation of the term frequency.", minimum=0.0, maximum=10.0),
        Option("b", "float", 0.75, "Strength of the length normalisation.", minimum=0.0, maximum=1.0),
        Option(
            "method", "str", "lucene", "Variant of the formula.",
            choices=("lucene", "robertson", "atire", "bm25l", "bm25+"),
        ),
        Option("stemmer", "str", "english", "Snowball stemmer.", choices=STEMMERS),
        Option("stopwords", "str", "english", "Stop words that are left out.", choices=("english", "none")),
    ),
    load=_load,
)  # fmt: skip
