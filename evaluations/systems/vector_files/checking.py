"""Reading a folder of vectors through without searching it: what an upload must pass before it is queued."""

from collections.abc import Collection
from pathlib import Path

from evaluations.systems.vector_files.csr import read_csr
from evaluations.systems.vector_files.dense import check_dense
from evaluations.systems.vector_files.folder import (
    DENSE,
    SPARSE_LINES,
    SPARSE_MATRIX,
    suffix_of,
    vector_file,
)
from evaluations.systems.vector_files.ids import Selection
from evaluations.systems.vector_files.jsonl import Vocabulary, read_jsonl
from evaluations.systems.vector_files.limits import VectorLimits, refusal
from evaluations.systems.vector_files.meta import Meta, read_meta

_FORMS = (DENSE, SPARSE_LINES, SPARSE_MATRIX)


def check_vectors(folder: Path, queries: Collection[str], limits: VectorLimits) -> tuple[str, ...]:
    """Every line and row of one dataset's vectors. Gives warnings; `queries`: ids of the judged ones.

    Raises EvaluationError `VECTORS-...`.
    """
    meta = read_meta(folder)
    documents, sent = vector_file(folder, "documents"), vector_file(folder, "queries")
    vocabulary = Vocabulary(meta.dimensions)
    form = next(form for form in _FORMS if suffix_of(documents) in form)
    if suffix_of(sent) not in form:
        expected = " or ".join(f"queries{suffix}" for suffix in form)
        raise refusal("FORMAT", sent, f" does not go with the form of the documents; write {expected}")
    if not _read(documents, meta, None, vocabulary, limits).ids:
        raise refusal("DOCUMENTS", documents, " holds no vector")
    found = _read(sent, meta, queries, vocabulary, limits)
    if not found.ids:
        problem = f": none of its {found.unknown:,} ids is that of a judged query"
        raise refusal("QUERIES", sent, f"{problem}; check that the vectors are of this dataset")
    missing = len(queries) - len(found.ids)
    return (f"{missing:,} of {len(queries):,} judged queries have no vector and score 0.",) if missing else ()


def _read(
    path: Path, meta: Meta, wanted: Collection[str] | None, vocabulary: Vocabulary, limits: VectorLimits
) -> Selection:
    if suffix_of(path) in DENSE:
        return check_dense(path, meta.dimensions, wanted, limits)
    if meta.dimensions > limits.sparse_dimensions:
        problem = f": {meta.dimensions:,} dimensions; at most {limits.sparse_dimensions:,} are searched"
        raise refusal("SIZE", path.with_name("meta.json"), problem)
    if suffix_of(path) in SPARSE_MATRIX:
        matrix = read_csr(path, meta.dimensions, wanted, limits)
        selection, blocks = matrix.selection, matrix.blocks
    else:
        selection = Selection(path, wanted)
        blocks = read_jsonl(path, vocabulary, selection, limits)
    for _ in blocks:
        pass
    return selection
