"""Learned sparse encoders: a vector over the terms of a vocabulary for each text, exact search over them.

SPLADE and its kin, inference-free encoders and sparse autoencoders by sentence-transformers, decoder-only
encoders by transformers. See `sparse_folder.py` for which is which.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from evaluations.datasets import Documents
from evaluations.errors import EvaluationError
from evaluations.progress import Progress
from evaluations.search.order import id_ranks
from evaluations.sparsity.expansion import expansion, no_expansion
from evaluations.sparsity.parameters import active_parameters, routing_of
from evaluations.sparsity.sample import Sample, sample_of
from evaluations.systems.abilities import QueryEncoder, QueryPath, Side
from evaluations.systems.base import Kind, Option, RankedList, Run, Runtime, SystemSpec
from evaluations.systems.locations import ResolvedModel, fetch
from evaluations.systems.model_profile import model_profile
from evaluations.systems.models import (
    DOCUMENT_PROMPT,
    MAX_LENGTH,
    PRECISION,
    QUERY_PROMPT,
    inspect_model,
    pin_model,
)
from evaluations.systems.sparse_folder import Form, check_options, check_sparse_folder, option_problems
from evaluations.tracks import Findings

if TYPE_CHECKING:
    from evaluations.encoding.encoder import Encoder
    from evaluations.search.found import Found
    from evaluations.search.sparse import SparseIndex
    from evaluations.systems.sparse_vectors import TermModel

MOST_ACTIVE = 1 / 3  # of all dimensions: with more, vectors are not sparse (docs/protocol.md)
SAMPLE = 32
SIDES: tuple[Side, Side] = ("document", "query")


class Sparse:
    """An encoder and the inverted index of its documents' vectors."""

    def __init__(
        self,
        encoder: "Encoder[csr_array[Any]]",
        model: "TermModel",
        found: ResolvedModel,
        runtime: Runtime,
    ) -> None:
        self.encoder = encoder
        self.files = found.files
        self._folder = found.folder
        self._document_texts: Sequence[str] = ()
        self._query_texts: Sequence[str] = ()
        self._model = model
        self._threads = runtime.threads
        self.document_ids: Sequence[str] = ()
        self.query_ids: Sequence[str] = ()
        self.query_vectors: csr_array[Any]
        self._index: SparseIndex

    @property
    def document_vectors(self) -> "csr_array[Any]":
        return self._index.matrix()

    def index(self, documents: Documents | None, progress: Progress) -> None:
        """The index numbers documents as they were encoded, so that no vector waits for its place."""
        from evaluations.search.sparse import IndexBuilder  # here, since it brings numba

        assert documents is not None  # noqa: S101 - `needs_corpus` promises it
        with progress.stage("encoding", total=len(documents)):
            self._check_sample(documents.texts)
            order, builder = [], None
            for block in self.encoder.blocks(documents.texts, "document", progress.advance):
                builder = builder or IndexBuilder(int(block.vectors.shape[1]))
                builder.add(block.vectors)
                order.append(block.places)
            assert builder is not None  # noqa: S101 - no dataset's corpus is empty
            places = np.concatenate(order)
            self._document_texts = documents.texts
            self.document_ids = [documents.ids[place] for place in places]
            self._index = builder.finish(id_ranks(documents.ids)[places])
        postings = len(self._index.documents)
        require_sparse("document", postings, len(documents), self._index.dimensions)

    def retrieve(self, queries: Mapping[str, str], depth: int, progress: Progress) -> Run:
        with progress.stage("encoding", total=len(queries)):
            vectors = self.encoder.vectors(list(queries.values()), "query", progress.advance)
        self._require_one_vocabulary(vectors)
        require_sparse("query", vectors.nnz, len(queries), vectors.shape[1])
        self.query_vectors, self.query_ids = vectors, list(queries)
        self._query_texts = list(queries.values())
        with progress.stage("searching", total=len(queries)):
            found = self._search(vectors, depth, progress)
        return Run(
            {
                query_id: RankedList([self.document_ids[row] for row in best.rows], best.scores)
                for query_id, best in zip(queries, found, strict=True)
            }
        )

    def query_path(self, k: int, threads: int) -> QueryPath:
        """One query's search is one thread's work."""
        from evaluations.systems.timing import encoded_path

        by: QueryEncoder = "neural" if self._model.side_parameters("query") else "table"
        path = encoded_path(self.encoder, self._search_one(k), by=by, index="sparse")
        table = self._model.query_table()
        if table is None or self.encoder.device != "cpu":
            return path
        return replace(
            path,
            tokenise=table.tokenise,
            encode=table.look_up,
            search=lambda query: self._index.search_one(query.terms, query.weights, k),
        )

    def encode_documents(self, texts: Sequence[str]) -> None:
        self.encoder.uncached().vectors(texts, "document")

    def build_index(self, threads: int) -> Sequence[NDArray[Any]]:
        return self._index.rebuilt().arrays

    def sparsity(self) -> Findings:
        from evaluations.sparsity.postings import index_profile  # here, since it brings numba

        sample = sample_of(self._document_texts, self._query_texts)
        model = model_profile(self.encoder, self._model.config, self._folder, sample)
        vectors = index_profile(self._index, self.query_vectors, same_dimensions=True)
        return vectors | model | _sides(self._model) | self._expansion(sample)

    def provenance(self) -> Mapping[str, str | int | None]:
        return self.encoder.provenance() | {"max_length": self._model.limit("document")}

    def _expansion(self, sample: Sample) -> Findings:
        """What the vectors of the sample's texts add to their own words, and leave out."""
        uncached, found = replace(self.encoder, cache=None), Findings()
        sides: tuple[tuple[Side, Sequence[str]], ...] = (
            ("document", sample.documents),
            ("query", sample.queries),
        )
        for side, texts in sides:
            words = self._model.words(texts, side)
            if words is None:
                return no_expansion("the dimensions are no terms of a text")
            if texts:
                found |= expansion(side, uncached.vectors(texts, side, lambda _: None), words)
        return found

    def _search(self, queries: "csr_array[Any]", depth: int, progress: Progress) -> "list[Found]":
        if self.encoder.device == "cpu":
            return self._index.search(queries, depth, self._threads, progress.advance)
        from evaluations.search.sparse_torch import TorchSparseIndex

        index = TorchSparseIndex.from_index(self._index, self.encoder.device)
        return index.search(queries, depth, progress.advance)

    def _search_one(self, k: int) -> "Callable[[csr_array[Any]], Found]":
        if self.encoder.device == "cpu":
            return lambda query: self._index.search_one(query.indices, query.data, k)
        from evaluations.search.sparse_torch import TorchSparseIndex

        index = TorchSparseIndex.from_index(self._index, self.encoder.device)
        return lambda query: index.search(query, k)[0]

    def _check_sample(self, texts: Sequence[str]) -> None:
        """Before a large corpus is encoded: nearly dense vectors of it would not fit the memory."""
        if len(texts) > 8 * SAMPLE:
            sample = texts[:: len(texts) // SAMPLE][:SAMPLE]
            vectors = self.encoder.uncached().vectors(sample, "document")
            require_sparse("document", vectors.nnz, len(sample), vectors.shape[1])

    def _require_one_vocabulary(self, queries: "csr_array[Any]") -> None:
        if queries.shape[1] != self._index.dimensions:
            problem = f"queries have {queries.shape[1]:,} dimensions, documents {self._index.dimensions:,}"
            raise EvaluationError("VECTORS-DIMENSIONS", f"{problem}; both sides need one vocabulary")


def require_sparse(side: str, nonzeros: int, vectors: int, dimensions: int) -> None:
    """Raises EvaluationError `VECTORS-DENSE` where more than a third of the dimensions is active."""
    mean = nonzeros / vectors
    if mean > MOST_ACTIVE * dimensions:
        share = f"{mean:,.1f} of {dimensions:,} dimensions ({mean / dimensions:.0%})"
        problem = f"{side} vectors have {share} active on average, more than a third: they are not sparse"
        hint = "check that the head is a trained sparse one, or submit the model as dense"
        raise EvaluationError("VECTORS-DENSE", f"{problem}; {hint}")


def _sides(model: "TermModel") -> Findings:
    """`active_parameters` are a document's; looking a query's weights up in a table passes through none."""
    routing, found = routing_of(model.config), Findings()
    inference_free = not model.side_parameters("query")
    if routing is None or routing.routed is not None:
        document, query = (active_parameters(model.side_parameters(side), routing) for side in SIDES)
        found |= Findings({"active_parameters": document, "query_active_parameters": query})
    return found | Findings(details={"inference_free": inference_free})


def _load(spec: SystemSpec, runtime: Runtime) -> Sparse:
    from evaluations.encoding.encoder import Encoder  # here, since they bring torch
    from evaluations.encoding.settings import prepare

    found = fetch(str(spec.location), spec.revision, allow_path=True)
    form = check_sparse_folder(found.folder)
    check_options(form, spec.options)
    settings = prepare(runtime, str(spec.options["precision"]))
    model = _model(found.folder, form, spec, settings.device)
    return Sparse(Encoder.of(model, settings, spec, found.files, runtime), model, found, runtime)


def _model(folder: Path, form: Form, spec: SystemSpec, device: str) -> "TermModel":
    if form == "causal":
        from evaluations.systems.decoder_sparse import DecoderSparse

        return DecoderSparse.load(folder, spec.options, device)
    from evaluations.systems.sentence_sparse import SentenceSparse

    return SentenceSparse.load(folder, form, spec.options, device)


def _inspect(spec: SystemSpec) -> Mapping[str, object]:
    found = inspect_model(spec, own_adapter=True)
    if not found["safe"]:
        return found
    try:
        return {**found, "form": check_sparse_folder(Path(str(found["folder"])))}
    except EvaluationError as error:
        return {**found, "safe": False, "why": str(error)}


KIND = Kind(
    name="sparse",
    title="Learned sparse encoder",
    family="sparse",
    help="A vector over a vocabulary for each text: SPLADE, inference-free encoders, sparse autoencoders, "
    "causal language models. Search is exact.",
    takes="model",
    needs_corpus=True,
    tracks=("retrieval", "sparsity", "latency"),
    options=(
        PRECISION,
        MAX_LENGTH,
        QUERY_PROMPT,
        DOCUMENT_PROMPT,
        Option(
            "activation",
            "str",
            None,
            "For a folder without modules.json: relu, or log1p_relu for a second logarithm; unset: relu. "
            "One with idf.json must name it.",
            choices=("relu", "log1p_relu"),
        ),
        Option(
            "document_template",
            "str",
            None,
            "For a causal language model: what it reads, with {text} twice; the second copy is pooled. "
            "The maximum length counts one copy.",
        ),
        Option("query_template", "str", None, "The same for queries; unset: the documents' template."),
    ),
    load=_load,
    pin=pin_model,
    inspect=_inspect,
    option_problems=option_problems,
)
