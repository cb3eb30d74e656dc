"""Dense bi-encoders, loaded by sentence-transformers: one vector a text, exact search over all of them.

Queries go through `encode_query` and documents through `encode_document`: `encode` would leave out the
model's prompts and, on a model with two sides, run the document side for both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evaluations.datasets import Documents
from evaluations.errors import EvaluationError
from evaluations.progress import Progress
from evaluations.search.dense import search
from evaluations.search.order import id_ranks
from evaluations.sparsity.storage import dense_storage
from evaluations.sparsity.weights import parameter_counts, stored_parameters
from evaluations.systems import safety
from evaluations.systems.base import Kind, Option, RankedList, Run, Runtime, SystemSpec
from evaluations.systems.devices import PRECISIONS
from evaluations.systems.locations import ResolvedModel, fetch, pin
from evaluations.tracks import Findings

if TYPE_CHECKING:
    from evaluations.systems.encoder import Encoder

Float32 = NDArray[np.float32]


class Dense:
    """An encoder and the matrix of its documents' vectors."""

    def __init__(self, encoder: "Encoder", model: ResolvedModel) -> None:
        self._encoder = encoder
        self.files = model.files
        self._document_ids: Sequence[str] = ()
        self._ranks = id_ranks(())
        self._vectors: Float32 = np.empty((0, 0), dtype=np.float32)

    def index(self, documents: Documents | None, progress: Progress) -> None:
        assert documents is not None  # noqa: S101 - `needs_corpus` promises it
        self._document_ids = documents.ids
        self._ranks = id_ranks(documents.ids)
        with progress.stage("encoding", total=len(documents)):
            self._vectors = self._encoder.documents(documents.texts, progress.advance)

    def retrieve(self, queries: Mapping[str, str], depth: int, progress: Progress) -> Run:
        with progress.stage("encoding", total=len(queries)):
            vectors = self._encoder.queries(list(queries.values()), progress.advance)
        with progress.stage("searching", total=len(queries)):
            found = search(vectors, self._vectors, self._ranks, depth, progress.advance)
        return Run(
            {
                query_id: RankedList([self._document_ids[row] for row in best.rows], best.scores)
                for query_id, best in zip(queries, found, strict=True)
            }
        )

    def sparsity(self) -> Findings:
        documents, dimensions = self._vectors.shape
        counts = parameter_counts(self._encoder.parameters, self._encoder.config)
        return counts | dense_storage(documents, dimensions)

    def provenance(self) -> Mapping[str, str | int | None]:
        return self._encoder.provenance()


def _load(spec: SystemSpec, runtime: Runtime) -> Dense:
    from evaluations.systems.encoder import Encoder  # here, since it brings torch

    model = fetch(str(spec.location), spec.revision, allow_path=True)
    safety.check_folder(model.folder)
    return Dense(Encoder.load(model.folder, spec.options, runtime), model)


def _pin(spec: SystemSpec, *, allow_path: bool = False) -> SystemSpec:
    return replace(spec, revision=pin(str(spec.location), spec.revision, allow_path=allow_path))


def _inspect(spec: SystemSpec) -> dict[str, Any]:
    model = fetch(str(spec.location), spec.revision, allow_path=True)
    found = {"folder": str(model.folder), "revision": model.revision}
    try:
        safety.check_folder(model.folder)
    except EvaluationError as error:
        return {**found, "safe": False, "why": str(error)}
    parameters = stored_parameters(safety.module_folders(model.folder))
    return {**found, "safe": True, "parameters": parameters}


KIND = Kind(
    name="dense",
    title="Dense bi-encoder",
    family="dense",
    help="A sentence-transformers model with one vector a text. Search is exact, over all documents.",
    takes="model",
    needs_corpus=True,
    tracks=("retrieval", "sparsity"),
    options=(
        Option(
            "precision",
            "str",
            "fp32",
            "Of the matrix products; the board's default is fp32.",
            choices=PRECISIONS,
        ),
        Option(
            "max_length",
            "int",
            None,
            "Longest text in tokens; unset: the model's own.",
            minimum=1,
            maximum=131_072,
        ),
        Option("query_prompt", "str", None, "Text before each query; unset: the model's own prompt."),
        Option("document_prompt", "str", None, "Text before each document; unset: the model's own prompt."),
    ),
    load=_load,
    pin=_pin,
    inspect=_inspect,
)
