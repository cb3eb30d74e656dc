"""Late interaction, loaded by sentence-transformers: a vector a token, searched by exact MaxSim."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evaluations.datasets import Documents
from evaluations.progress import Progress
from evaluations.search.maxsim import MaxSimIndex, TokenVectors, search
from evaluations.search.order import id_ranks
from evaluations.sparsity.dense_representation import dense_profile
from evaluations.sparsity.sample import sample_of
from evaluations.sparsity.storage import multi_vector_storage
from evaluations.systems import safety
from evaluations.systems.abilities import QueryPath
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
from evaluations.tracks import Findings, not_applicable

if TYPE_CHECKING:
    from evaluations.encoding.encoder import Encoder
    from evaluations.systems.multi_vector import MultiVector

# PyLate's models name it; a MultiVectorEncoder takes its own class for it and never imports PyLate.
REPLACED_CLASSES = frozenset({"pylate.models.Dense.Dense"})
_NOTHING = TokenVectors(np.empty((0, 1), dtype=np.float32), np.zeros(1, dtype=np.int64))


class LateInteraction:
    """An encoder and all vectors of its documents, in the order in which they were encoded."""

    def __init__(
        self,
        encoder: "Encoder[TokenVectors]",
        model: "MultiVector",
        found: ResolvedModel,
        runtime: Runtime,
    ) -> None:
        self.encoder = encoder
        self.files = found.files
        self._folder = found.folder
        self._document_texts: Sequence[str] = ()
        self._query_texts: Sequence[str] = ()
        self._model = model
        self._scratch = runtime.cache
        self.document_ids: Sequence[str] = ()
        self._ranks: NDArray[np.int64] = id_ranks(())
        self.document_vectors = _NOTHING
        self.query_ids: Sequence[str] = ()
        self.query_vectors = _NOTHING

    def index(self, documents: Documents | None, progress: Progress) -> None:
        assert documents is not None  # noqa: S101 - `needs_corpus` promises it
        from evaluations.encoding.assembly import token_matrix

        with progress.stage("encoding", total=len(documents)):
            blocks = self.encoder.blocks(documents.texts, "document", progress.advance)
            self.document_vectors, places = token_matrix(blocks, len(documents), self._scratch)
        self.document_ids = [documents.ids[place] for place in places]
        self._document_texts = documents.texts
        self._ranks = id_ranks(self.document_ids)

    def retrieve(self, queries: Mapping[str, str], depth: int, progress: Progress) -> Run:
        with progress.stage("encoding", total=len(queries)):
            self.query_vectors = self.encoder.vectors(list(queries.values()), "query", progress.advance)
        self.query_ids, self._query_texts = list(queries), list(queries.values())
        with progress.stage("searching", total=len(queries)):
            found = search(
                self.query_vectors, self.document_vectors, self._ranks, depth,
                mean=self._model.mean, on_queries_done=progress.advance,
            )  # fmt: skip
        return Run(
            {
                query_id: RankedList([self.document_ids[row] for row in best.rows], best.scores)
                for query_id, best in zip(self.query_ids, found, strict=True)
            }
        )

    def query_path(self, k: int, threads: int) -> QueryPath:
        """The search multiplies in the libraries' own threads, which the caller limits to `threads`."""
        from evaluations.systems.timing import encoded_path

        index = MaxSimIndex.build(self.document_vectors, self._ranks, mean=self._model.mean)
        return encoded_path(
            self.encoder, lambda vectors: index.search(vectors, k)[0], by="neural", index="multi-vector"
        )

    def encode_documents(self, texts: Sequence[str]) -> None:
        self.encoder.uncached().vectors(texts, "document")

    def build_index(self, threads: int) -> Sequence[NDArray[Any]]:
        index = MaxSimIndex.build(self.document_vectors, self._ranks, mean=self._model.mean)
        return index.arrays

    def sparsity(self) -> Findings:
        sample = sample_of(self._document_texts, self._query_texts)
        model = model_profile(self.encoder, self._model.config, self._folder, sample)
        vectors = self.document_vectors.vectors
        storage = multi_vector_storage(len(self.document_vectors), *vectors.shape)
        return model | storage | _query_vectors(self.query_vectors) | dense_profile(vectors)

    def provenance(self) -> Mapping[str, str | int | None]:
        return self.encoder.provenance() | self._model.lengths()


def _query_vectors(queries: TokenVectors) -> Findings:
    if not len(queries):
        return not_applicable("no query was encoded", "query_vectors_mean")
    return Findings({"query_vectors_mean": len(queries.vectors) / len(queries)})


def _load(spec: SystemSpec, runtime: Runtime) -> LateInteraction:
    from evaluations.encoding.encoder import Encoder  # here, since they bring torch
    from evaluations.encoding.settings import prepare
    from evaluations.systems.multi_vector import MultiVector

    found = fetch(str(spec.location), spec.revision, allow_path=True)
    safety.check_folder(found.folder, replaced=REPLACED_CLASSES)
    settings = prepare(runtime, str(spec.options["precision"]))
    model = MultiVector.load(found.folder, spec.options, settings.device)
    return LateInteraction(Encoder.of(model, settings, spec, found.files, runtime), model, found, runtime)


def _inspect(spec: SystemSpec) -> Mapping[str, object]:
    return inspect_model(spec, replaced=REPLACED_CLASSES)


KIND = Kind(
    name="late-interaction",
    title="Late interaction",
    family="late-interaction",
    help="A sentence-transformers model with a vector a token, as ColBERT. Exact MaxSim over all documents.",
    takes="model",
    needs_corpus=True,
    tracks=("retrieval", "sparsity", "latency"),
    options=(
        PRECISION,
        MAX_LENGTH,
        Option(
            "query_length", "int", None,
            "Longest query in tokens, and what shorter ones are filled up to where the model does that.",
            minimum=1, maximum=131_072,
        ),
        QUERY_PROMPT,
        DOCUMENT_PROMPT,
    ),
    load=_load,
    pin=pin_model,
    inspect=_inspect,
)  # fmt: skip
