"""The zeros of a model's stored weights: how many, where, in which pattern. One tensor is read at a time."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from evaluations.sparsity.tensor_names import is_attention_output, is_prunable, place_of
from evaluations.sparsity.tensors import Mask, StoredTensor, stored_tensors
from evaluations.sparsity.zeros import SQUARE, MatrixZeros, zeros_of
from evaluations.tracks import Findings, not_applicable

MOST_LAYERS = 400  # rows of the table in a report
_ADAPTER = ("lora_A", "lora_B", "lora_embedding_", "lora_magnitude_vector")
_MASK, _ORIGINAL = "_mask", "_orig"
_TRANSPOSED = ("gpt2", "openai-gpt", "imagegpt")  # Conv1D: (inputs, outputs)


@dataclass(frozen=True)
class StoredModel:
    """A model's tensors, without adapters and masks. `masks`: by the name of what each masks.

    `heads`: of each attention. `is_transposed`: matrices lie as (inputs, outputs).
    """

    tensors: Sequence[StoredTensor]
    masks: Mapping[str, StoredTensor]
    adapters: Sequence[str]
    heads: int
    is_transposed: bool

    @classmethod
    def read(cls, folders: Iterable[Path], config: Mapping[str, object]) -> "StoredModel":
        """The headers only. Raises EvaluationError `MODEL-WEIGHTS`."""
        every = stored_tensors(folders)
        adapters = [tensor.name for tensor in every if any(word in tensor.name for word in _ADAPTER)]
        names = {tensor.name for tensor in every}
        masks = {tensor.name.removesuffix(_MASK): tensor for tensor in every if _is_mask(tensor.name, names)}
        kept = [each for each in every if each.name not in adapters and not _is_mask(each.name, names)]
        heads = config.get("num_attention_heads") or config.get("n_head") or config.get("n_heads")
        transposed = config.get("model_type") in _TRANSPOSED
        return cls(kept, masks, adapters, heads if isinstance(heads, int) else 0, transposed)

    def blocks(self, tensor: StoredTensor) -> Iterator[Mask]:
        """Where a tensor is not zero once its mask, if there is one, is applied; (outputs, inputs)."""
        mask = self.masks.get(tensor.name.removesuffix(_ORIGINAL))
        if mask is not None and mask.shape == tensor.shape:
            pairs = zip(tensor.nonzero_blocks(), mask.nonzero_blocks(), strict=True)
            found: Iterator[Mask] = (own & kept for own, kept in pairs)
        else:
            found = tensor.nonzero_blocks()
        if self.is_transposed and len(tensor.shape) == 2 and tensor.elements:
            return iter([np.concatenate(list(found)).T])
        return found


@dataclass(frozen=True)
class Tally:
    """Zeros by layer and part of what is prunable, and by part of everything."""

    prunable: Mapping[tuple[int, str], MatrixZeros]
    parts: Mapping[str, MatrixZeros]

    @classmethod
    def of(cls, model: StoredModel) -> "Tally":
        prunable: dict[tuple[int, str], MatrixZeros] = {}
        parts: dict[str, MatrixZeros] = {}
        for tensor in model.tensors:
            place, found = place_of(tensor.name), _zeros(model, tensor)
            parts[place.part] = parts.get(place.part, MatrixZeros()) + found
            if is_prunable(tensor.name, len(tensor.shape)):
                key = (place.layer or 0, place.part)
                prunable[key] = prunable.get(key, MatrixZeros()) + found
        return cls(prunable, parts)

    def details(self) -> dict[str, object]:
        """Tables of plain values, the layers' one bounded."""
        layers = [
            {"layer": layer, "part": part, **_row(found)}
            for (layer, part), found in sorted(self.prunable.items())
        ]
        parts = [
            {"part": part, "parameters": found.elements, "zeros_share": _share(found.zeros, found.elements)}
            for part, found in sorted(self.parts.items())
        ]
        return {"layers": layers[:MOST_LAYERS], "parts": parts}


def weight_profile(folders: Sequence[Path], config: Mapping[str, object]) -> Findings:
    """Of the safetensors files in a model's folders. Raises EvaluationError `MODEL-WEIGHTS`."""
    model = StoredModel.read(folders, config)
    if not sum(tensor.elements for tensor in model.tensors):
        return not_applicable("no safetensors file holds the weights", *WEIGHT_METRICS)
    tally = Tally.of(model)
    prunable = sum(tally.prunable.values(), MatrixZeros())
    everything = sum(tally.parts.values(), MatrixZeros())
    details = {
        **tally.details(),
        "pattern": _written(prunable),
        "dtypes": sorted({tensor.dtype for tensor in model.tensors}),
        "block": f"{SQUARE} x {SQUARE}",
        "masks": len(model.masks),
        "adapter_tensors": len(model.adapters),
    }
    found = _size(model, folders, everything.elements) | _zero_shares(prunable, everything)
    return found | _structure(prunable) | _patterns(prunable) | Findings(details={"weights": details})


def _zeros(model: StoredModel, tensor: StoredTensor) -> MatrixZeros:
    """Of what is not prunable the number alone."""
    if not is_prunable(tensor.name, len(tensor.shape)):
        nonzeros = sum(int(np.count_nonzero(mask)) for mask in model.blocks(tensor))
        return MatrixZeros(elements=tensor.elements, zeros=tensor.elements - nonzeros)
    heads = model.heads if is_attention_output(tensor.name) else 0
    return zeros_of(partial(model.blocks, tensor), heads=heads)


def _size(model: StoredModel, folders: Sequence[Path], elements: int) -> Findings:
    files = sum(path.stat().st_size for folder in folders for path in folder.glob("*.safetensors"))
    stored = sum(tensor.bytes for tensor in model.tensors)
    return Findings({"weight_bytes": files, "bits_per_weight": 8 * stored / elements})


def _zero_shares(prunable: MatrixZeros, everything: MatrixZeros) -> Findings:
    found = Findings(
        {
            "prunable_parameters_share": prunable.elements / everything.elements,
            "weight_zeros_share": everything.zeros / everything.elements,
        }
    )
    if not prunable.elements:
        return found | not_applicable(_NOTHING_PRUNABLE, "prunable_zeros_share")
    return found | Findings({"prunable_zeros_share": prunable.zeros / prunable.elements})


def _structure(prunable: MatrixZeros) -> Findings:
    if not prunable.elements:
        return not_applicable(_NOTHING_PRUNABLE, *_STRUCTURE)
    found = Findings(
        {
            "weight_zero_rows_share": prunable.zero_rows / prunable.rows,
            "weight_zero_columns_share": prunable.zero_columns / prunable.columns,
            "weight_zero_blocks_share": prunable.zero_blocks / prunable.blocks,
        }
    )
    if not prunable.heads:
        reason = "no output projection of an attention was recognised"
        return found | not_applicable(reason, "weight_zero_heads_share")
    return found | Findings({"weight_zero_heads_share": prunable.zero_heads / prunable.heads})


def _patterns(prunable: MatrixZeros) -> Findings:
    if not prunable.elements:
        return not_applicable(_NOTHING_PRUNABLE, *_PATTERNS)
    found = Findings({"weight_pattern_matrices_share": prunable.patterned / prunable.matrices})
    if prunable.pattern is None:
        return found | not_applicable(
            "no N:M pattern holds in every prunable matrix", "weight_pattern_density"
        )
    n, m = prunable.pattern
    return found | Findings({"weight_pattern_density": n / m})


def _row(found: MatrixZeros) -> dict[str, object]:
    return {
        "parameters": found.elements,
        "zeros_share": _share(found.zeros, found.elements),
        "pattern": _written(found),
        "zero_rows_share": _share(found.zero_rows, found.rows),
        "zero_columns_share": _share(found.zero_columns, found.columns),
        "zero_blocks_share": _share(found.zero_blocks, found.blocks),
        "heads": found.heads or None,
        "zero_heads": found.zero_heads if found.heads else None,
    }


def _written(found: MatrixZeros) -> str | None:
    return None if found.pattern is None else "{}:{}".format(*found.pattern)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _is_mask(name: str, names: Collection[str]) -> bool:
    """As torch's pruning writes them: `weight_orig` beside `weight_mask`."""
    return name.endswith(_MASK) and name.removesuffix(_MASK) + _ORIGINAL in names


_NOTHING_PRUNABLE = "no layer has weight matrices of attention, MLP or experts"
_STRUCTURE = (
    "weight_zero_rows_share",
    "weight_zero_columns_share",
    "weight_zero_heads_share",
    "weight_zero_blocks_share",
)
_PATTERNS = ("weight_pattern_matrices_share", "weight_pattern_density")
WEIGHT_METRICS = (
    "weight_bytes",
    "bits_per_weight",
    "prunable_parameters_share",
    "weight_zeros_share",
    "prunable_zeros_share",
    *_STRUCTURE,
    *_PATTERNS,
)
