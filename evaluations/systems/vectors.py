"""Vectors that were encoded elsewhere, so that closed models can compete: read strictly, searched here."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from evaluations.datasets import Documents
from evaluations.errors import EvaluationError
from evaluations.progress import Progress
from evaluations.search.found import NOTHING
from evaluations.sparsity.names import unknown_model
from evaluations.systems import vector_files
from evaluations.systems.abilities import QueryPath
from evaluations.systems.base import Kind, RankedList, Run, Runtime, SystemSpec
from evaluations.systems.vector_files import Selection, VectorLimits
from evaluations.systems.vector_search import searcher_for
from evaluations.tracks import Findings


class Vectors:
    """Ranks by the inner product, or the cosine, of the vectors in a folder."""

    def __init__(self, root: Path, threads: int | None = None, limits: VectorLimits | None = None) -> None:
        self._root = root
        self._threads = threads
        self._limits = limits or VectorLimits()
        self._dataset: str | None = None
        self._wanted: Collection[str] | None = None
        self._warnings: list[str] = []
        self.document_ids: Sequence[str] = ()
        self._given: Mapping[str, Any] = {}

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
        self._searcher = searcher_for(path, self._meta, self._limits, self._threads)
        with progress.stage("loading"):
            found = self._searcher.index(path, wanted)
        self.document_ids = found.ids
        self._check("documents", found, wanted)

    def retrieve(self, queries: Mapping[str, str], depth: int, progress: Progress) -> Run:
        with progress.stage("searching", total=len(queries)):
            self.query_ids: Sequence[str] = self._read_queries(queries).ids
            results = self._searcher.search(depth, progress.advance)
        ranked = {
            query_id: RankedList([self.document_ids[row] for row in best.rows], best.scores)
            for query_id, best in zip(self.query_ids, results, strict=True)
        }
        return Run(ranked, tuple(self._warnings))

    def name_queries(self, queries: Mapping[str, str]) -> None:
        """Reads their vectors. Of equal texts the first that has one counts."""
        found = self._read_queries(queries)
        vectors = dict(zip(found.ids, self._searcher.each_query(), strict=True))
        named = [(text, vectors[query_id]) for query_id, text in queries.items() if query_id in vectors]
        self._given = dict(reversed(named))

    def query_path(self, k: int, threads: int) -> QueryPath:
        """A text stands for the vector that was made of it elsewhere; one without a vector finds nothing."""
        search = self._searcher.search_one(k, threads)
        return QueryPath(
            tokenise=lambda text: text,
            encode=self._given.get,
            search=lambda query: NOTHING if query is None else search(query),
            encoder="given",
            index=self._searcher.form,
        )

    def build_index(self, threads: int) -> Sequence[NDArray[Any]]:
        return self._searcher.build(threads)

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

    def _read_queries(self, queries: Mapping[str, str]) -> Selection:
        path = vector_files.vector_file(self._folder, "queries")
        self._check_form(path)
        found = self._searcher.read_queries(path, queries)
        self._check("queries", found, queries)
        return found

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
    tracks=("retrieval", "sparsity", "latency"),
    encodes_queries=False,
    options=(),
    load=_load,
    pin=_pin,
    inspect=_inspect,
)
