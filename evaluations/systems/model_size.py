"""How large a model its settings would make, against what its files hold.

Libraries make a model from its settings, filled with random numbers, before they look at the weights:
settings of a few bytes could take all memory. The estimate is a lower bound, compared with a multiple.
"""

from collections.abc import Iterator, Mapping
from typing import NoReturn, TypeGuard

from evaluations.errors import EvaluationError

SHARED = 4  # layers may share their weights, heads may be tied
LARGEST = 2**63  # of a setting; beyond it the estimate itself would overflow
SPARE = 2**25  # parameters: 128 MB
MAX_LAYERS = 1000
_HIDDEN = ("hidden_size", "d_model", "n_embd", "dim", "embed_dim")
_LAYERS = (
    "num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers",
    "num_decoder_layers", "num_encoder_layers",
)  # fmt: skip
_WIDTHS = ("intermediate_size", "d_ff", "hidden_dim", "n_inner", "encoder_ffn_dim", "ffn_dim")
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "num_experts_total")
_GROUPS = "num_hidden_groups"  # of layers that share their weights, as ALBERT's
# By the ends of their names: sizes that are multiplied with the hidden size, or with each other.
_SIZES = (
    "_size", "_dim", "_dims", "_features", "_channels", "_labels", "_heads", "_buckets", "_rank",
    "_embeddings", "_positions", "n_positions", "_dimension", "n_embd", "d_model", "d_ff", "d_kv",
    "dim", "n_inner",
)  # fmt: skip
_NO_SIZES = ("chunk_size", "window_size", "batch_size", "image_size", "patch_size", "block_size")


def check_model_size(name: str, settings: object, stored: int) -> None:
    """`stored`: parameters in the files. Raises EvaluationError `MODEL-SIZE`, naming the setting."""
    for part in _objects(settings):
        _check_numbers(name, part)
        hidden = max((value for _, value in _numbers(part, _HIDDEN)), default=0)
        layers = _layers(name, part)
        for key, value in part.items():
            if hidden and _is_size(key) and _is_number(value):
                _compare(name, key, value, value * hidden, stored)
        if hidden and layers:
            width = min((value for _, value in _numbers(part, _WIDTHS)), default=hidden)
            width = min((value for _, value in _numbers(part, ("moe_intermediate_size",))), default=width)
            key, experts = max(_numbers(part, _EXPERTS), key=lambda found: found[1], default=(_LAYERS[0], 1))
            # An expert is at least two matrices, and some objects of Python's.
            _compare(name, key, experts, layers * experts * max(2 * hidden * width, 1024), stored)


def check_module_size(name: str, settings: object, stored: int) -> None:
    """Of a module beside the transformer: a matrix between its two largest sizes must fit."""
    for part in _objects(settings):
        _check_numbers(name, part)
        _layers(name, part)
        sizes = sorted((size, key) for key, size in _numbers(part, tuple(filter(_is_size, part))))
        if sizes:
            other = sizes[-2][0] if len(sizes) > 1 else 1
            _compare(name, sizes[-1][1], sizes[-1][0], sizes[-1][0] * other, stored)


def _check_numbers(name: str, part: Mapping[str, object]) -> None:
    for key, value in part.items():
        if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
            problem = f"{key[:60]} is a number of {value.bit_length()} bits"
            _refuse(name, f"{problem}; at most 64 are read; correct it")


def _layers(name: str, part: Mapping[str, object]) -> float:
    """What the layers take together, or the groups of layers that share their weights."""
    counts = list(_numbers(part, _LAYERS))
    for key, count in counts:
        if count > MAX_LAYERS:
            _refuse(name, f"{key} is {count:,}; at most {MAX_LAYERS:,} layers are made")
    groups = [count for _, count in _numbers(part, (_GROUPS,))]
    return max(groups or [count for _, count in counts], default=0)


def _compare(name: str, key: str, value: float, needed: float, stored: int) -> None:
    if not needed <= SHARED * stored + SPARE:
        problem = f"{key} is {value:,}, which needs {needed:,.0f} parameters or more"
        _refuse(name, f"{problem}, and the files hold {stored:,}; correct it, or put all the weights in")


def _objects(value: object) -> Iterator[Mapping[str, object]]:
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)


def _numbers(part: Mapping[str, object], keys: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    for key in keys:
        value = part.get(key)
        if _is_number(value) and value > 0:
            yield key, value


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_size(key: str) -> bool:
    return key.endswith(_SIZES) and not key.endswith(_NO_SIZES)


def _refuse(name: str, problem: str) -> NoReturn:
    raise EvaluationError("MODEL-SIZE", f"{name}: {problem}")
