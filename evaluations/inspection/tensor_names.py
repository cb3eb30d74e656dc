"""Names of the tensors of a module on the hub: from the index of its files, or the header of the one file."""

import json
from collections.abc import Collection
from pathlib import Path

from evaluations.errors import EvaluationError
from evaluations.systems import hub
from evaluations.systems.weight_files import MAX_HEADER_BYTES

WHOLE = "model.safetensors"
INDEX = f"{WHOLE}.index.json"


def tensor_names(location: str, model: hub.HubModel, folder: Path, inner: Path) -> Collection[str] | None:
    """`inner`: the module's folder in the model's, `folder`. None where neither file is there.

    Raises EvaluationError `MODEL-WEIGHTS`, EvaluationFailed `HUB-UNREACHABLE`.
    """
    place = inner.relative_to(folder)
    whole, index = (place / WHOLE).as_posix(), (place / INDEX).as_posix()
    if whole in model.names:
        header = hub.read_header(location, model.commit, whole, MAX_HEADER_BYTES)
        return _keys(header, whole)
    if index in model.names:
        content = hub.read_small(location, model.commit, index, MAX_HEADER_BYTES)
        return _keys(content, index, "weight_map")
    return None


def _keys(content: bytes, name: str, within: str | None = None) -> Collection[str]:
    try:
        found = json.loads(content)
        return frozenset(found[within] if within else found)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        problem = f"{name} does not name its tensors ({type(error).__name__})"
        raise EvaluationError("MODEL-WEIGHTS", f"{problem}; write it again with save_pretrained") from error
