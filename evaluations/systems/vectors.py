"""Vectors that were encoded elsewhere, so that closed models can compete: read strictly, searched here."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from evaluations.datasets import Documents
from evaluations.errors import EvaluationError
from evaluations.progress import Progress
from evaluations.search.found import Found
from evaluations.search.order import id_ranks
from evaluations.sparsity.dense_representation import dense_profile
from evaluations.sparsity.expansion import no_expansion
from evaluations.sparsity.names import unknown_model
from evaluations.sparsity.storage import dense_storage
from evaluations.systems import vector_files
from evaluations.systems.base import Kind, RankedList, Run, Runtime, SystemSpec
from evaluations.systems.vector_files import DenseVectors, Meta, Selection, VectorLimits
from evaluations.tracks import Findings

Advance = Callable[[int], None]


class Searcher(Protocol):
    """Searches vectors of one form. `wanted` None: all ids of the file count."""

    @property
    def suffixes(self) -> tuple[str, ...]: ...

    def index(self, path: Path, wanted: Collection[str] | None) -> Selection: ...

    def search(
        self, path: Path, wanted: Collection[str], k: int, on_done: Advance
    ) -> tuple[Selection, list[Found]]: ...

    def findings(self) -> Findings: ...

    @property
    def document_vectors(self) -> Any: ...

    @property
    def query_vectors(self) -> Any: ...


class DenseSearcher:
    """Exact search over float32 vectors; whatever they are stored in becomes that."""

    suffixes = vector_files.DENSE

    def __init__(self, meta: Meta, limits: VectorLimits, threads: int | None) -> None:
        self._meta = meta
        self._limits = limits
        self._threads = threads

    def index(self, path: Path, wanted: Collection[str] | None) -> Selection:
        found = self._read(path, wanted)
        self.document_vectors = found.matrix
        self._ranks = id_ranks(found.selection.ids)
        return found.selection

    def search(
        self, path: Path, wanted: Collection[str], k: int, on_done: Advance
    ) -> tuple[Selection, list[Found]]:
        from evaluations.search import dense  # here, since it brings numba

        queries = self._read(path, wanted)
        self.query_vectors = queries.matrix
        documents, ranks = self.document_vectors, self._ranks
        found = dense.search(queries.matrix, documents, ranks, k, on_done, self._threads)
        return queries.selection, found

    def findings(self) -> Findings:
        return dense_storage(*self.document_vectors.shape) | dense_profile(self.document_vectors)

    def _read(self, path: Path, wanted: Collection[str] | None) -> DenseVectors:
        unit = self._meta.similarity == "cosine"
        return vector_files.read_dense(path, self._meta.dimensions, wanted, self._limits, unit=unit)


class SparseSearcher:
    """Exact search over float32 postings, of lines with tokens or of a matrix."""

    def __init__(
        self,
        meta: Meta,
        limits: VectorLimits,
        suffixes: tuple[str, ...],
        threads: int | None,
    ) -> None:
        self.suffixes = suffixes
        self._meta = meta
        self._limits = limits
        self._threads = threads
        self._vocabulary = vector_files.Vocabulary(meta.dimensions)

    def index(self, path: Path, wanted: Collection[str] | None) -> Selection:
        from evaluations.search.sparse import IndexBuilder  # here, since it brings numba

        selection, blocks = self._read(path, wanted)
        builder = IndexBuilder(self._meta.dimensions)
        for block in blocks:
            builder.add(block)
        self._index = builder.finish(id_ranks(selection.ids))
        return selection

    def search(
        self, path: Path, wanted: Collection[str], k: int, on_done: Advance
    ) -> tuple[Selection, list[Found]]:
        selection, blocks = self._read(path, wanted)
        empty = csr_array((0, self._meta.dimensions), dtype=np.float32)
        self.query_vectors = csr_array(vstack([empty, *blocks], format="csr"))
        return selection, self._index.search(self.query_vectors, k, self._threads, on_done)

    @property
    def document_vectors(self) -> "csr_array[Any]":
        return self._index.matrix()

    def findings(self) -> Findings:
        """Columns of a matrix are dimensions of the encoder; tokens of lines are numbered as they come."""
        from evaluations.sparsity.postings import index_profile  # here, as above

        same = self.suffixes == vector_files.SPARSE_MATRIX
        found = index_profile(self._index, self.query_vectors, same_dimensions=same)
        return found | no_expansion("vectors say nothing of the texts behind them")

    def _read(self, path: Path, wanted: Collection[str] | None) -> tuple[Selection, Iterator[csr_array]]:
        if path.suffix in vector_files.SPARSE_MATRIX:
            matrix = vector_files.read_csr(path, self._meta.dimensions, wanted, self._limits)
            selection, blocks = matrix.selection, matrix.blocks
        else:
            selection = Selection(path, wanted)
            blocks = vector_files.read_jsonl(path, self._vocabulary, selection, self._limits)
        return selection, map(_unit_rows, blocks) if self._meta.similarity == "cosine" else blocks


class Vectors:
    """Ranks by the inner product, or the cosine, of the vectors in a folder."""

    def __init__(self, root: Path, threads: int | None = None, limits: VectorLimits | None = None) -> None:
        self._root = root
        self._threads = threads
        self._limits = limits or VectorLimits()
        self._dataset: str | None = None
        self._wanted: Collection[str] | None = None
        self._warnings: list[str] = []

    @property
    def files(self) -> Mapping[str, str]:
        return vector_files.checksums(self._root)

    def choose(self, dataset: str, document_ids: Collection[str] | None) -> None:
        self._dataset = dataset
        self._wanted = document_ids

    def index(self, documents: Documents | None, progress: Progress) -> None:
        wanted = self._wanted if documents is None else frozenset(documents.ids)
        self._folder = vector_files.folder_for(self._root, self._dataset)
        self._meta = vector_files.read_meta(self._folder)
        path = vector_files.vector_file(self._folder, "documents")
        self._searcher = _searcher(path, self._meta, self._limits, self._threads)
        with progress.stage("loading"):
            found = self._searcher.index(path, wanted)
        self.document_ids: Sequence[str] = found.ids
        self._check("documents", found, wanted)

    def retrieve(self, queries: Mapping[str, str], depth: int, progress: Progress) -> Run:
        path = vector_files.vector_file(self._folder, "queries")
        self._check_form(path)
        with progress.stage("searching", total=len(queries)):
            found, results = self._searcher.search(path, queries, depth, progress.advance)
        self.query_ids: Sequence[str] = found.ids
        self._check("queries", found, queries)
        ranked = {
            query_id: RankedList([self.document_ids[row] for row in best.rows], best.scores)
            for query_id, best in zip(found.ids, results, strict=True)
        }
        return Run(ranked, tuple(self._warnings))

    @property
    def document_vectors(self) -> Any:
        """Float32 (documents, dimensions), or a csr_array made of the index anew at each call."""
        return self._searcher.document_vectors

    @property
    def query_vectors(self) -> Any:
        return self._searcher.query_vectors

    def sparsity(self) -> Findings:
        return self._searcher.findings() | unknown_model("vectors say nothing of the model behind them")

    def provenance(self) -> Mapping[str, str | int | None]:
        said = {"precision": self._meta.precision, "encoder": self._meta.encoder}
        return {"device": "cpu", "threads": self._threads, **said, "similarity": self._meta.similarity}

    def _check_form(self, path: Path) -> None:
        if vector_files.suffix_of(path) not in self._searcher.suffixes:
            expected = " or ".join(f"queries{suffix}" for suffix in self._searcher.suffixes)
            problem = f"{path.name} does not go with the form of the documents; write {expected}"
            raise EvaluationError("VECTORS-FORMAT", problem)

    def _check(self, side: str, found: Selection, wanted: Collection[str] | None) -> None:
        """Refuses vectors of another dataset; says what is ignored and what is missing."""
        dataset = self._dataset or "the dataset"
        if not found.ids:
            example = f", such as {found.an_unknown}," if found.an_unknown else ""
            problem = f"{found.path.name}: none of its {found.unknown:,} ids{example} is of the {side}"
            advice = f"of {dataset}; check that the vectors are of this dataset"
            raise EvaluationError(f"VECTORS-{side.upper()}", f"{problem} {advice}")
        if found.unknown:
            self._warnings.append(
                f"{found.unknown:,} vectors of {found.path.name} are not of the {side} of {dataset} and are"
                f" ignored, such as {found.an_unknown}"
            )
        if wanted is not None and len(found.ids) < len(wanted):
            self._warnings.append(_missing(side, set(found.ids), wanted))


def _missing(side: str, found: set[str], wanted: Collection[str]) -> str:
    example = next(each for each in wanted if each not in found)
    consequence = "cannot be found" if side == "documents" else "find nothing"
    return (
        f"{len(wanted) - len(found):,} of {len(wanted):,} {side} have no vector and {consequence},"
        f" such as {example}"
    )


def _searcher(path: Path, meta: Meta, limits: VectorLimits, threads: int | None) -> Searcher:
    suffix = vector_files.suffix_of(path)
    if suffix in vector_files.DENSE:
        return DenseSearcher(meta, limits, threads)
    if meta.dimensions > limits.sparse_dimensions:
        problem = (
            f"meta.json: {meta.dimensions:,} dimensions; at most {limits.sparse_dimensions:,} are searched"
        )
        raise EvaluationError("VECTORS-SIZE", problem)
    alike = vector_files.SPARSE_MATRIX if suffix in vector_files.SPARSE_MATRIX else vector_files.SPARSE_LINES
    return SparseSearcher(meta, limits, alike, threads)


def _unit_rows(block: csr_array) -> csr_array:
    """Rows divided by their length; a row without weights stays."""
    row_of = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
    wide: NDArray[np.float64] = block.data.astype(np.float64)
    norms = np.sqrt(np.bincount(row_of, weights=wide**2, minlength=block.shape[0]))
    divided = wide / np.where(norms > 0, norms, 1.0)[row_of]
    return csr_array((divided.astype(np.float32), block.indices, block.indptr), shape=block.shape)


def _load(spec: SystemSpec, runtime: Runtime) -> Vectors:
    return Vectors(Path(str(spec.location)), runtime.threads)


def _pin(spec: SystemSpec, *, allow_path: bool = False) -> SystemSpec:  # noqa: ARG001 - always a path
    """The revision is the checksum of all its files, of whichever dataset.

    Raises EvaluationError `VECTORS-FOLDER` or `REVISION-MISMATCH`.
    """
    folder = Path(str(spec.location))
    listed = "".join(f"{name}\0{digest}\n" for name, digest in sorted(_checksums(folder).items()))
    revision = f"sha256:{hashlib.sha256(listed.encode()).hexdigest()[:16]}"
    if spec.revision not in (None, revision):
        raise EvaluationError("REVISION-MISMATCH", f"{folder.name} is {revision}, not {spec.revision}")
    return replace(spec, revision=revision)


def _checksums(folder: Path) -> Mapping[str, str]:
    found = vector_files.checksums(folder)
    if not found:
        vector_files.folder_for(folder, None)
    return found


def _inspect(spec: SystemSpec) -> Mapping[str, object]:
    folder = Path(str(spec.location))
    found = {"revision": _pin(spec).revision, "files": dict(vector_files.checksums(folder))}
    if not (folder / "meta.json").is_file():
        return found
    meta = vector_files.read_meta(folder)
    sides = {side: vector_files.vector_file(folder, side).name for side in ("documents", "queries")}
    return {**found, **vars(meta), **sides}


KIND = Kind(
    name="vectors",
    title="Vectors",
    family="vectors",
    help="Vectors of documents and queries that were encoded elsewhere, dense or sparse, "
    "in a folder; on the web in a zip or tar archive of it.",
    takes="folder",
    needs_corpus=False,
    tracks=("retrieval", "sparsity"),
    options=(),
    load=_load,
    pin=_pin,
    inspect=_inspect,
)
