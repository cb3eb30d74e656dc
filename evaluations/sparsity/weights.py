"""How many parameters a model has, from its safetensors headers: no tensor is read."""

import json
import math
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from evaluations.errors import EvaluationError
from evaluations.tracks import Findings

MAX_HEADER_BYTES = 100 * 1024 * 1024
_EXPERT_KEYS = (
    "num_experts",
    "num_local_experts",
    "n_routed_experts",
    "moe_num_experts",
    "num_experts_per_tok",
)


def stored_parameters(folders: Iterable[Path]) -> int:
    """Elements of all tensors in the safetensors files directly in these folders; positions (int64) are none.

    Raises EvaluationError `MODEL-WEIGHTS` for a damaged header.
    """
    return sum(math.prod(shape) for folder in folders for shape in _shapes(folder))


def parameter_counts(parameters: int, config: Mapping[str, object]) -> Findings:
    """`active_parameters`: those that a token passes through; all, unless experts are chosen by token."""
    if any(config.get(key) for key in _EXPERT_KEYS):
        reason = "a mixture of experts: which parameters a token passes through is not counted yet"
        return Findings({"parameters": parameters, "active_parameters": None}, {"active_parameters": reason})
    return Findings({"parameters": parameters, "active_parameters": parameters})


def _shapes(folder: Path) -> list[list[int]]:
    shapes = []
    for path in sorted(folder.glob("*.safetensors")):
        header = _header(path)
        shapes += [
            tensor["shape"]
            for name, tensor in header.items()
            if name != "__metadata__" and tensor["dtype"] != "I64"
        ]
    return shapes


def _header(path: Path) -> dict[str, dict[str, Any]]:
    try:
        with path.open("rb") as stream:
            (size,) = struct.unpack("<Q", stream.read(8))
            if size > MAX_HEADER_BYTES:
                raise ValueError(f"a header of {size:,} bytes")
            header: dict[str, dict[str, Any]] = json.loads(stream.read(size))
            return header
    except (OSError, ValueError, struct.error) as error:
        raise EvaluationError("MODEL-WEIGHTS", f"{path.name} is no safetensors file: {error}") from error
