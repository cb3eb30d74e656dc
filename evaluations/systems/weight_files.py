"""The headers of safetensors files, read strictly before a library maps them: no tensor is read here."""

import json
import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeGuard

from evaluations.errors import EvaluationError
from evaluations.systems.settings_files import checking

MAX_HEADER_BYTES = 8 * 1024**2
MAX_TENSORS = 100_000
MAX_RANK = 8
_LARGEST_SIZE = 2**40
_METADATA = "__metadata__"
_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "C64": 8, "F32": 4, "I32": 4, "U32": 4, "BF16": 2, "F16": 2, "I16": 2,
    "U16": 2, "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """As the header declares it, which was found to agree with the file. `start`: of its bytes there."""

    dtype: str
    shape: tuple[int, ...]
    start: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def is_parameter(self) -> bool:
        """Whole numbers of 64 bits are positions."""
        return self.dtype != "I64"


def read_folders(folders: Iterable[Path]) -> dict[str, Tensor]:
    """The tensors of all safetensors files directly in these folders, by file and name.

    Raises EvaluationError `MODEL-WEIGHTS`.
    """
    found: dict[str, Tensor] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*.safetensors"))):
        found |= {f"{path.parent.name}/{path.name}:{name}": each for name, each in read_header(path).items()}
        if len(found) > MAX_TENSORS:
            _refuse(path, f"brings more than {MAX_TENSORS:,} tensors; is it one model?")
    return found


def parameters(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.elements for tensor in tensors.values() if tensor.is_parameter)


@checking("MODEL-WEIGHTS", "a safetensors file")
def read_header(path: Path) -> dict[str, Tensor]:
    """The tensors of one file by name; they fill it without a gap, and none overlaps another.

    Raises EvaluationError `MODEL-WEIGHTS`.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 0 < length <= min(MAX_HEADER_BYTES, size - 8):
                _refuse(path, f"is no safetensors file: it declares a header of {length:,} bytes")
            pairs = json.loads(stream.read(length), object_pairs_hook=_without_twins)
    except (OSError, ValueError, RecursionError) as error:
        raise EvaluationError("MODEL-WEIGHTS", f"{path.name} is no safetensors file: {error}") from error
    if not isinstance(pairs, dict):
        _refuse(path, "is no safetensors file: its header is no object")
    pairs.pop(_METADATA, None)
    if len(pairs) > MAX_TENSORS:
        _refuse(path, f"holds more than {MAX_TENSORS:,} tensors")
    return _tensors(path, pairs, 8 + length, size - 8 - length)


def _without_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("its header names a tensor twice")
    "".join(found).encode()  # half a character passes as JSON, and fails wherever it is written
    return found


def _tensors(path: Path, declared: Mapping[str, object], begin: int, payload: int) -> dict[str, Tensor]:
    spans: list[tuple[int, int, str]] = []
    found: dict[str, Tensor] = {}
    for name, tensor in declared.items():
        found[name], start, end = _tensor(path, name, tensor, begin)
        spans.append((start, end, name))
    reached = 0
    for start, end, name in sorted(spans):
        if start != reached:
            _refuse(path, f"has tensors that overlap or lie apart, at {name[:80]!r}")
        reached = end
    if reached != payload:
        _refuse(path, f"declares {reached:,} bytes of tensors and holds {payload:,}")
    return found


def _tensor(path: Path, name: str, tensor: object, begin: int) -> tuple[Tensor, int, int]:
    keys = tensor if isinstance(tensor, dict) else {}
    dtype, shape, offsets = keys.get("dtype"), keys.get("shape"), keys.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in _BYTES:
        _refuse(path, f"has {name[:80]!r} of type {str(dtype)[:20]!r}, which is not known")
    if not _are_sizes(shape) or len(shape) > MAX_RANK or not _are_sizes(offsets) or len(offsets) != 2:
        _refuse(path, f"has {name[:80]!r} of a shape or at offsets that make no sense")
    if math.prod(shape) * _BYTES[dtype] != offsets[1] - offsets[0]:
        _refuse(path, f"has {name[:80]!r} of another size than its type and shape say")
    return Tensor(dtype, tuple(shape), begin + offsets[0]), offsets[0], offsets[1]


def _are_sizes(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(size) is int and 0 <= size <= _LARGEST_SIZE for size in value)


def _refuse(path: Path, problem: str) -> NoReturn:
    raise EvaluationError("MODEL-WEIGHTS", f"{path.name} {problem}; write it again with save_pretrained")
