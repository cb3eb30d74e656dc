"""Which files the weights would be taken from: by name and by the index of shards, before any is opened."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath
from typing import NoReturn

from evaluations.errors import EvaluationError
from evaluations.model_files import PICKLE_SUFFIXES
from evaluations.systems.model_modules import model_modules, module_folders
from evaluations.systems.settings_files import read_json

ADAPTER_WEIGHTS = "adapter_model.safetensors"
_SAFE = "model.safetensors"
_INDEX = ".safetensors.index.json"
# Of pickles: transformers opens what it lists, under any name.
_PICKLED_INDEX = ".bin.index.json"
_SHARD = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9._-]{0,199}\.safetensors")
# Transformers takes files of these names before all others, and lists none of their tensors as missing.
_DISTRIBUTED = re.compile(r"shard-[0-9]{5}-model-[0-9]{5}-of-[0-9]{5}\.safetensors")


def check_weights(folder: Path, names: Collection[str]) -> None:
    """`names`: of all the model's files, relative to it. Raises EvaluationError `MODEL-WEIGHTS`."""
    check_indices(folder, names)
    _check_pickles(folder, names)
    stored = {name for inner in module_folders(folder) for name in beside(folder, inner, names)}
    if not any(name.endswith(".safetensors") for name in stored):
        _refuse(folder.name, "has no .safetensors file; only safetensors are loaded")
    distributed = next(filter(_DISTRIBUTED.fullmatch, sorted(stored)), None)
    if distributed:
        _refuse(distributed, "is of a distributed checkpoint; save the model whole with save_pretrained")


def check_indices(folder: Path, names: Collection[str]) -> None:
    """Each index of shards that lies here names plain .safetensors files beside it, and nothing else.

    Transformers joins the names to the folder as they are, and unpickles what does not end so.
    Raises EvaluationError `MODEL-WEIGHTS`.
    """
    for path in sorted(folder.rglob(f"*{_INDEX}")):
        name = path.relative_to(folder).as_posix()
        stored = beside(folder, path.parent, names)
        for shard in _shards(path, name):
            if not _SHARD.fullmatch(shard):
                problem = f"names {shard[:80]!r} as a shard; it must be a .safetensors file beside it"
                _refuse(name, f"{problem}, by its name alone")
            if shard not in stored and _SAFE not in stored:  # beside that one, no index is read
                _refuse(name, f"names the shard {shard[:80]!r}, which is not beside it; put it there")


def beside(folder: Path, inner: Path, names: Iterable[str]) -> set[str]:
    """Names of the files directly in a module's folder."""
    where = PurePosixPath(inner.relative_to(folder).as_posix())
    return {path.name for path in map(PurePosixPath, names) if path.parent == where}


def _shards(path: Path, name: str) -> set[str]:
    index = read_json(path, name)
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        _refuse(name, "has no weight_map of tensors and the files that hold them")
    if not all(isinstance(shard, str) for shard in weight_map.values()):
        _refuse(name, "has a weight_map with a file whose name is no text")
    return set(weight_map.values())


def _check_pickles(folder: Path, names: Collection[str]) -> None:
    for module in model_modules(folder):
        stored = beside(folder, module.folder, names)
        # Only transformers reads an index; the other modules' loader would pass it over for the pickle.
        whole = {_SAFE, f"model{_INDEX}"} if module.is_transformer else {_SAFE}
        pickles = sorted(name for name in stored if name.endswith((*PICKLE_SUFFIXES, _PICKLED_INDEX)))
        where = module.folder.relative_to(folder)
        if pickles and not stored & whole:
            problem = "is a pickle, which a loader could take here, since there is no model.safetensors"
            _refuse(
                (where / pickles[0]).as_posix(),
                f"{problem}; save_pretrained(safe_serialization=True) writes one",
            )
        if "adapter_model.bin" in stored and ADAPTER_WEIGHTS not in stored:
            _refuse((where / "adapter_model.bin").as_posix(), "is a pickle; save the adapter as safetensors")


def _refuse(name: str, problem: str) -> NoReturn:
    raise EvaluationError("MODEL-WEIGHTS", f"{name} {problem}")
