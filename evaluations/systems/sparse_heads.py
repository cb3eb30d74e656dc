"""Whether a sparse encoder's head is in its files, as far as names tell: of files, and of tensors in them.

Libraries fill what is missing with random numbers and notice at best while they load, which is long after a
submission was queued. Names settle the families below; of all others, loading decides (`loading.py`).
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from evaluations.errors import EvaluationError
from evaluations.systems.safety import MODULES, ROUTER, read_json

# The names of a module's tensors, of the module in this folder; None where they are not known.
TensorNames = Callable[[Path], Collection[str] | None]

CONFIG = "config.json"
# By `model_type`: a tensor that every head of the family has and shares with nothing, so that it is stored.
MASKED_HEADS: Mapping[str, str] = {
    "bert": "cls.predictions.transform.dense.weight",
    "roberta": "lm_head.dense.weight",
    "xlm-roberta": "lm_head.dense.weight",
    "camembert": "lm_head.dense.weight",
    "distilbert": "vocab_transform.weight",
    "albert": "predictions.dense.weight",
    "electra": "generator_predictions.dense.weight",
    "mpnet": "lm_head.dense.weight",
    "modernbert": "head.dense.weight",
}
# The same where the head is said not to be the embeddings.
CAUSAL_HEADS: Mapping[str, str] = dict.fromkeys(
    ("llama", "mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "phi3"), "lm_head.weight"
)
_OWN_WEIGHTS = ("SparseAutoEncoder", "SparseStaticEmbedding")
_LANGUAGE_MODELS = ("Transformer", "MLMTransformer")


def check_model_head(folder: Path, heads: Mapping[str, str], tensors: TensorNames) -> None:
    """Of a language model whose head is read. Raises EvaluationError `HEAD-MISSING`."""
    config = _object(folder, CONFIG)
    needed = heads.get(str(config.get("model_type")))
    if needed is None or (heads is CAUSAL_HEADS and config.get("tie_word_embeddings") is not False):
        return
    stored = tensors(folder)
    if stored is not None and needed not in stored:
        raise head_missing(f"its head's tensor {needed} is not in its files")


def check_module_heads(folder: Path, names: Collection[str], tensors: TensorNames) -> None:
    """Of a saved SparseEncoder. `names`: of all its files. Raises EvaluationError `HEAD-MISSING`."""
    modules = list(_modules(folder))
    for kind, inner in modules:
        weights = (inner.relative_to(folder) / "model.safetensors").as_posix()
        if kind in _OWN_WEIGHTS and weights not in names and "path" not in _object(inner, CONFIG):
            raise head_missing(f"{weights} with the weights of its {kind} is not among its files")
    for (kind, inner), (following, _) in pairwise(modules):
        if kind in _LANGUAGE_MODELS and following == "SpladePooling":
            check_model_head(inner, MASKED_HEADS, tensors)


def head_missing(why: str) -> EvaluationError:
    return EvaluationError("HEAD-MISSING", f"{why}; libraries would make a random one, so store the whole")


def _modules(folder: Path) -> Iterator[tuple[str, Path]]:
    """Class and folder of each module, a router followed by those on its routes."""
    found = read_json(folder / MODULES, MODULES)
    for module in found if isinstance(found, list) else []:
        kind, inner = str(module.get("type")).rpartition(".")[2], folder / str(module.get("path", ""))
        yield kind, inner
        if kind == "Router":
            yield from _routed(inner)


def _routed(folder: Path) -> Iterator[tuple[str, Path]]:
    """Older routers wrote theirs into config.json."""
    types = _object(folder, ROUTER if (folder / ROUTER).is_file() else CONFIG).get("types")
    for name, kind in types.items() if isinstance(types, dict) else ():
        yield str(kind).rpartition(".")[2], folder / str(name)


def _object(folder: Path, name: str) -> Mapping[str, object]:
    """Empty where there is none."""
    found = read_json(folder / name, name) if (folder / name).is_file() else {}
    return found if isinstance(found, dict) else {}
