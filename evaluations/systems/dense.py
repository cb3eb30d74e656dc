"""Dense bi-encoders, loaded by sentence-transformers: one vector a text, exact search over all of them.

Queries go through `encode_query` and documents through `encode_document`: `encode` would leave out the
model's prompts and, on a model with two sides, run the document side for both.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evaluations.datasets import Documents
from evaluations.progress import Progress
from evaluations.search.order import id_ranks
from evaluations.sparsity.dense_representation import dense_profile
from evaluations.sparsity.sample import sample_of
from evaluations.sparsity.storage import dense_storage
from evaluations.systems import safety
from evaluations.systems.abilities import QueryEncoder, QueryPath
from evaluations.systems.base import Kind, RankedList, Run, Runtime, SystemSpec
from evaluations.systems.locations import ResolvedModel, fetch
from evaluations.systems.model_profile import model_profile
from evaluations.systems.models import (
    DIMENSIONS,
    DOCUMENT_PROMPT,
    MAX_LENGTH,
    PRECISION,
    QUERY_PROMPT,
    inspect_model,
    pin_model,
)  # fmt: skip
from evaluations.tracks import Findings

if TYPE_CHECKING:
    from evaluations.encoding.encoder import Encoder
    from evaluations.search.found import Found
    from evaluations.systems.sentence_dense import SentenceDense

Float32 = NDArray[np.float32]
_NOTHING: Float32 = np.empty((0, 0), dtype=np.float32)


class Dense:
    """An encoder and the matrix of its documents' vectors."""

    def __init__(
        self, encoder: "Encoder[Float32]", model: "SentenceDense", found: ResolvedModel, runtime: Runtime
    ) -> None:
        self.encoder = encoder
        self.files = found.files
        self._folder = found.folder
        self._document_texts: Sequence[str] = ()
        self._query_texts: Sequence[str] = ()
        self._model = model
        self._scratch = runtime.cache
        self._threads = runtime.threads
        self.document_ids: Sequence[str] = ()
        self.document_vectors: Float32 = _NOTHING
        self.query_ids: Sequence[str] = ()
        self.query_vectors: Float32 = _NOTHING
        self._ranks = id_ranks(())

    def index(self, documents: Documents | None, progress: Progress) -> None:
        assert documents is not None  # noqa: S101 - `needs_corpus` promises it
        self.document_ids, self._document_texts = documents.ids, documents.texts
        self._ranks = id_ranks(documents.ids)
        from evaluations.encoding.assembly import dense_matrix

        with progress.stage("encoding", total=len(documents)):
            blocks = self.encoder.blocks(documents.texts, "document", progress.advance)
            self.document_vectors = dense_matrix(blocks, len(documents), self._scratch)

    def retrieve(self, queries: Mapping[str, str], depth: int, progress: Progress) -> Run:
        with progress.stage("encoding", total=len(queries)):
            self.query_vectors = self.encoder.vectors(list(queries.values()), "query", progress.advance)
        self.query_ids, self._query_texts = list(queries), list(queries.values())
        with progress.stage("searching", total=len(queries)):
            found = self._search(depth, progress)
        return Run(
            {
                query_id: RankedList([self.document_ids[row] for row in best.rows], best.scores)
                for query_id, best in zip(queries, found, strict=True)
            }
        )

    def query_path(self, k: int, threads: int) -> QueryPath:
        from evaluations.systems.timing import encoded_path

        search_one = self._search_one(k, threads)
        by: QueryEncoder = "table" if self._model.looks_up("query") else "neural"
        return encoded_path(self.encoder, search_one, by=by, index="dense")

    def encode_documents(self, texts: Sequence[str]) -> None:
        self.encoder.uncached().vectors(texts, "document")

    def build_index(self, threads: int) -> Sequence[NDArray[Any]]:
        from evaluations.search.dense import DenseIndex  # here, since it brings numba

        return DenseIndex.build(self.document_vectors, self._ranks, threads).arrays

    def sparsity(self) -> Findings:
        documents, dimensions = self.document_vectors.shape
        sample = sample_of(self._document_texts, self._query_texts)
        model = model_profile(self.encoder, self._model.config, self._folder, sample)
        return model | dense_storage(documents, dimensions) | dense_profile(self.document_vectors)

    def provenance(self) -> Mapping[str, str | int | None]:
        return self.encoder.provenance() | {"max_length": self._model.limit("document")}

    def _search(self, depth: int, progress: Progress) -> "list[Found]":
        from evaluations.search.dense import DenseIndex  # here, since it brings numba

        index = DenseIndex.build(self.document_vectors, self._ranks, self._threads)
        if self.encoder.device == "cpu":
            return index.search(self.query_vectors, depth, self._threads, progress.advance)
        from evaluations.search.dense_torch import TorchDenseIndex

        on_device = TorchDenseIndex.from_index(index, self.encoder.device)
        return on_device.search(self.query_vectors, depth, progress.advance)

    def _search_one(self, k: int, threads: int) -> "Callable[[Float32], Found]":
        from evaluations.search.dense import DenseIndex  # here, since it brings numba

        index = DenseIndex.build(self.document_vectors, self._ranks, threads)
        if self.encoder.device == "cpu":
            return lambda vectors: index.search(vectors, k, threads)[0]
        from evaluations.search.dense_torch import TorchDenseIndex

        on_device = TorchDenseIndex.from_index(index, self.encoder.device)
        return lambda vectors: on_device.search(vectors, k)[0]


def _load(spec: SystemSpec, runtime: Runtime) -> Dense:
    from evaluations.encoding.encoder import Encoder  # here, since they bring torch
    from evaluations.encoding.settings import prepare
    from evaluations.systems.sentence_dense import SentenceDense

    found = fetch(str(spec.location), spec.revision, allow_path=True)
    safety.check_folder(found.folder)
    settings = prepare(runtime, str(spec.options["precision"]))
    model = SentenceDense.load(found.folder, spec.options, settings.device)
    return Dense(Encoder.of(model, settings, spec, found.files, runtime), model, found, runtime)


KIND = Kind(
    name="dense",
    title="Dense bi-encoder",
    family="dense",
    help="A sentence-transformers model with one vector a text. Search is exact, over all documents.",
    takes="model",
    needs_corpus=True,
    tracks=("retrieval", "sparsity", "latency"),
    options=(PRECISION, MAX_LENGTH, DIMENSIONS, QUERY_PROMPT, DOCUMENT_PROMPT),
    load=_load,
    pin=pin_model,
    inspect=inspect_model,
)
