"""Settings that change what a library loads behind the checks: other files, sizes, repositories."""

import re
from pathlib import PurePosixPath
from typing import NoReturn

from evaluations.errors import EvaluationError

# sentence-transformers reads the first of them that is there, and hands its tables to transformers.
_TRANSFORMER = re.compile(r"sentence_[a-z-]+_config\.json")
_TABLES = {
    "config_kwargs": frozenset({"use_cache"}),
    "model_kwargs": frozenset({"dtype", "torch_dtype"}),
    "processor_kwargs": frozenset({
        "model_max_length", "use_fast", "padding_side", "truncation_side", "do_lower_case",
        "clean_up_tokenization_spaces",
    }),
}  # fmt: skip
_OLD_NAMES = {
    "config_args": "config_kwargs", "model_args": "model_kwargs", "tokenizer_args": "processor_kwargs",
    "tokenizer_kwargs": "processor_kwargs",
}  # fmt: skip
_ELSEWHERE = ("tokenizer_name_or_path", "processor_name", "cache_dir", "model_name_or_path")
_OTHER_FILES = ("configuration_files", "fast_tokenizer_files")
_WEIGHTS = "transformers_weights"
_ARCHITECTURE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


def check_transformer(settings: object, name: str) -> None:
    """Of a module's own settings: what it would pass on. Raises EvaluationError `MODEL-CONFIG`."""
    if not _TRANSFORMER.fullmatch(PurePosixPath(name).name) or not isinstance(settings, dict):
        return
    for key, value in settings.items():
        table = _OLD_NAMES.get(key, key)
        if table in _TABLES:
            _check_table(name, key, value, _TABLES[table])
        if key in _ELSEWHERE and value is not None:
            problem = f"takes {key} from elsewhere"
            _refuse("MODEL-CONFIG", name, f"{problem}; put all files into the model's folder")


def check_choice(key: str, setting: object, name: str) -> None:
    """Of any settings, key by key. Raises EvaluationError `MODEL-CONFIG`, `MODEL-WEIGHTS`."""
    if key in _OTHER_FILES and setting:
        _refuse("MODEL-CONFIG", name, f"has {key}, which are read in place of those checked; leave it out")
    if key == _WEIGHTS and setting not in (None, "model.safetensors"):
        _refuse("MODEL-WEIGHTS", name, f"names its weights by {_WEIGHTS}; call them model.safetensors")
    if key == "path" and name.endswith("config.json") and str(setting).endswith(".json"):
        _refuse("MODEL-CONFIG", name, "has a path of weights, which may lie anywhere; leave it out")
    if key == "model_type" and not isinstance(setting, str | None):
        _refuse("MODEL-CONFIG", name, "has a model_type that is no text")
    if key == "architectures" and setting is not None and not _are_architectures(setting):
        _refuse("MODEL-CONFIG", name, "has architectures that are no list of names of classes")


def _check_table(name: str, key: str, table: object, allowed: frozenset[str]) -> None:
    if table is not None and not isinstance(table, dict):
        _refuse("MODEL-CONFIG", name, f"has {key}, which is no table")
    for inner, value in (table or {}).items():
        if inner == "trust_remote_code":  # turned on, it is refused wherever it is; off, it is the default
            continue
        if inner not in allowed or not isinstance(value, str | bool | int | None):
            problem = f"sets {inner[:60]!r} in {key}, which changes what was checked"
            _refuse("MODEL-CONFIG", name, f"{problem}; write it into the model's own config, or leave it out")


def _are_architectures(setting: object) -> bool:
    return isinstance(setting, list) and all(
        isinstance(name, str) and _ARCHITECTURE.fullmatch(name) for name in setting
    )


def _refuse(code: str, name: str, problem: str) -> NoReturn:
    raise EvaluationError(code, f"{name} {problem}")
