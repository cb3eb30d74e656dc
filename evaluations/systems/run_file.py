"""A submitted run: results that were computed elsewhere. The reader of its file is in trec.py."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from evaluations.datasets import Documents
from evaluations.errors import EvaluationError
from evaluations.progress import Progress
from evaluations.sparsity.names import unknown_model
from evaluations.systems.base import Kind, Option, RankedList, Run, Runtime, SystemSpec
from evaluations.systems.trec import read_run
from evaluations.tracks import Findings, not_applicable

CHUNK_BYTES = 1 << 20


class RunFile:
    """Ranks by the file's scores. The file is read when queries are known, so that only theirs are kept."""

    def __init__(self, spec: SystemSpec) -> None:
        self._path = Path(spec.location or "")
        self._dataset = ""
        self._known: Collection[str] | None = None

    def choose(self, dataset: str, document_ids: Collection[str] | None) -> None:
        self._dataset = dataset
        self._known = document_ids

    def index(self, documents: Documents | None, progress: Progress) -> None:
        """A run was searched elsewhere: there is nothing to index."""

    def retrieve(self, queries: Mapping[str, str], depth: int, progress: Progress) -> Run:
        with progress.stage("searching"):
            run = read_run(self._path, queries)
        cut = {query_id: _cut(ranked, depth) for query_id, ranked in run.lists.items()}
        return self._checked(replace(run, lists=cut))

    def sparsity(self) -> Findings:
        reason = "a run says nothing of the system behind it"
        return unknown_model(reason) | not_applicable(reason, "index_bytes")

    def provenance(self) -> Mapping[str, str | int | None]:
        return {"device": None, "precision": None, "threads": None}

    def _checked(self, run: Run) -> Run:
        """A run over other documents is refused, one over some others is warned about; they stay in it."""
        if self._known is None:
            return run
        found = {document for ranked in run.lists.values() for document in ranked.document_ids}
        absent = found.difference(self._known)
        if absent and absent == found:
            problem = (
                f"none of the run's documents, such as {min(absent)}, is in the corpus of {self._dataset}"
            )
            raise EvaluationError("RUN-DOCUMENTS", f"{problem}; check that the run is of this dataset")
        if not absent:
            return run
        warning = f"{len(absent)} documents of the run are not in the corpus, such as {min(absent)}"
        return replace(run, warnings=(*run.warnings, warning))


def _cut(ranked: RankedList, depth: int) -> RankedList:
    return RankedList(ranked.document_ids[:depth], ranked.scores[:depth])


def _load(spec: SystemSpec, _: Runtime) -> RunFile:
    return RunFile(spec)


def _pin(spec: SystemSpec, *, allow_path: bool = False) -> SystemSpec:  # noqa: ARG001 - always a path
    """The revision is the checksum of the file's bytes.

    Raises EvaluationError `RUN-MISSING` or `REVISION-MISMATCH`.
    """
    path = Path(spec.location or "")
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise EvaluationError(
            "RUN-MISSING", f"{path}: {error.strerror}; give the path of a run file"
        ) from error
    revision = f"sha256:{digest.hexdigest()[:16]}"
    if spec.revision not in (None, revision):
        raise EvaluationError("REVISION-MISMATCH", f"{path.name} is {revision}, not {spec.revision}")
    return replace(spec, revision=revision)


KIND = Kind(
    name="run",
    title="Run file",
    family="run",
    help="Results that were computed elsewhere: a TREC run, plain or gzip.",
    takes="file",
    needs_corpus=False,
    tracks=("retrieval", "sparsity"),
    options=(
        Option(
            "exhausted", "bool", False,
            "The run holds all that the system found: measures deeper than its lists are meant as they are.",
        ),
    ),
    load=_load,
    pin=_pin,
)  # fmt: skip
