"""`meta.json`: what a folder of vectors says about itself."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from evaluations.errors import EvaluationError
from evaluations.systems.vector_files.limits import refusal

META = "meta.json"
MAX_BYTES = 64 * 1024
MAX_TEXT = 200
SIMILARITIES = ("dot", "cosine")
EXAMPLE = '{"dimensions": 768, "similarity": "cosine", "encoder": "ORG/NAME", "precision": "fp32"}'


@dataclass(frozen=True)
class Meta:
    """`dimensions`: of a dense vector, or the size of the vocabulary. `encoder`, `precision`: as said."""

    dimensions: int
    similarity: Literal["dot", "cosine"]
    encoder: str | None = None
    precision: str | None = None


def read_meta(folder: Path) -> Meta:
    """Keys beyond the four are for people. Raises EvaluationError `VECTORS-META`."""
    path = folder / META
    record = _record(path)
    dimensions, similarity = record.get("dimensions"), record.get("similarity")
    if type(dimensions) is not int or dimensions < 1:  # exactly: to Python, True is an int
        raise refusal("META", path, f': "dimensions" must be a whole number from 1; write {EXAMPLE}')
    if similarity not in SIMILARITIES:
        raise refusal("META", path, f': "similarity" must be "dot" or "cosine"; write {EXAMPLE}')
    known = cast("Literal['dot', 'cosine']", similarity)
    return Meta(dimensions, known, _text(path, record, "encoder"), _text(path, record, "precision"))


def _record(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise refusal("META", path, f" is larger than {MAX_BYTES:,} bytes; write {EXAMPLE}")
        record = json.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise refusal("META", path, f": {error.strerror}; write {EXAMPLE}") from error
    except (ValueError, RecursionError) as error:
        raise refusal("META", path, f" is not JSON ({error}); write {EXAMPLE}") from error
    if not isinstance(record, dict):
        raise refusal("META", path, f" is not a JSON object; write {EXAMPLE}")
    return record


def _text(path: Path, record: dict[str, object], key: str) -> str | None:
    value = record.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
        raise _bad_text(path, key)
    return value


def _bad_text(path: Path, key: str) -> EvaluationError:
    return refusal("META", path, f': "{key}" must be a text of at most {MAX_TEXT} characters, or left out')
