"""Reading BEIR's qrels: query id, document id, grade, with tabs between them, with or without a header."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evaluations.datasets.checksums import ContentChecksum
from evaluations.datasets.lines import checked_id, malformed, numbered_lines
from evaluations.errors import EvaluationError

HEADER = ["query-id", "corpus-id", "score"]
MAX_GRADE = 1000  # trec_eval keeps an array with a place for every grade up to the highest
_SPLIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_GRADE = re.compile(r"[+-]?[0-9]{1,6}")


@dataclass(frozen=True)
class Qrels:
    """`grades[query][document]`, their checksum, and how often a judgement was repeated unchanged."""

    grades: Mapping[str, Mapping[str, int]]
    checksum: str
    repeated: int


def read_qrels(folder: Path, split: str) -> Qrels:
    """The judgements of one split.

    Raises EvaluationError `DATASET-SPLIT`, `DATASET-LINE` or `DATASET-QRELS`.
    """
    path = _path(folder, split)
    grades: dict[str, dict[str, int]] = {}
    content = ContentChecksum()
    repeated = 0
    for number, line in numbered_lines(path):
        columns = line.split("\t")
        if number == 1 and [column.strip().lower() for column in columns] == HEADER:
            continue
        query_id, document_id, grade = _judgement(columns, path, number)
        judged = grades.setdefault(query_id, {})
        if document_id not in judged:
            judged[document_id] = grade
            content.add(query_id, document_id, grade)
        elif judged[document_id] == grade:
            repeated += 1
        else:
            raise malformed(
                path, number, f"grades {document_id} for query {query_id} again, with another grade"
            )
    if not grades:
        raise EvaluationError("DATASET-QRELS", f"qrels/{path.name}: has no judgements")
    return Qrels(grades, content.hexdigest(), repeated)


def _path(folder: Path, split: str) -> Path:
    if not _SPLIT.fullmatch(split):
        raise EvaluationError("DATASET-SPLIT", f"split {split[:40]!r}: may have letters, digits and . _ -")
    path = folder / "qrels" / f"{split}.tsv"
    if not path.is_file():
        present = ", ".join(sorted(found.stem for found in path.parent.glob("*.tsv"))) or "none"
        raise EvaluationError(
            "DATASET-SPLIT", f"{folder.name} has no qrels/{split}.tsv; its splits: {present}"
        )
    return path


def _judgement(columns: list[str], path: Path, number: int) -> tuple[str, str, int]:
    if len(columns) != len(HEADER):
        problem = f"has {len(columns)} columns with tabs between them; 3 are needed: {' '.join(HEADER)}"
        raise malformed(path, number, problem)
    query_id, document_id, grade = (column.strip() for column in columns)
    if not _GRADE.fullmatch(grade) or abs(int(grade)) > MAX_GRADE:
        raise malformed(
            path, number, f"grade {grade[:40]!r} is not a whole number from -{MAX_GRADE} to {MAX_GRADE}"
        )
    return checked_id(query_id, path, number), checked_id(document_id, path, number), int(grade)
