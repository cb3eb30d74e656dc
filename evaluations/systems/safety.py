"""What a model's folder may not do, checked before it is loaded: import code, unpickle, take all memory."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

from evaluations.errors import EvaluationError
from evaluations.systems import weight_files
from evaluations.systems.folder_files import check_files, is_settings
from evaluations.systems.library_settings import check_choice, check_transformer
from evaluations.systems.model_modules import MODULES, ROUTER, module_folders
from evaluations.systems.model_size import check_model_size, check_module_size
from evaluations.systems.settings_files import checking, read_json, walked
from evaluations.systems.weight_choice import ADAPTER_WEIGHTS, beside, check_weights

__all__ = [
    "ADAPTER", "ADAPTER_WEIGHTS", "MODULES", "ROUTER", "check_description", "check_folder",
    "check_sizes", "module_folders", "read_json",
]  # fmt: skip
MAX_DEPTH = 64  # of settings; libraries walk them by recursion
ADAPTER = "adapter_config.json"
_CONFIG = "config.json"
# A module is made from one of them, filled with random numbers, before its weights are read.
_SIZED = (_CONFIG, "lstm_config.json", "cnn_config.json")
# A class, by its capital: the library's modules also hold functions and other libraries, such as torch.
_OWN_CLASS = re.compile(r"sentence_transformers(\.[a-z_][a-z0-9_]*)*\.[A-Z][A-Za-z0-9]*")
_ACTIVATIONS = ("activation_function", "activation_fn")
_ACTIVATION_CLASS = re.compile(r"torch\.nn(\.[a-z_]+)*\.[A-Z][A-Za-z0-9]*")


@checking("MODEL-CONFIG", "the model's folder")
def check_folder(folder: Path, *, own_adapter: bool = False, replaced: frozenset[str] = frozenset()) -> None:
    """Refuses what would run the submitter's code, what is not in safetensors, and what is not whole.

    With `own_adapter` an adapter may lie beside the whole model that it is of. `replaced`: classes that the
    loader never imports, since it takes its own for them.
    Raises EvaluationError `MODEL-CODE`, `MODEL-WEIGHTS`, `MODEL-ADAPTER`, `MODEL-CONFIG`, `MODEL-LINK`,
    `MODEL-FILES` or `MODEL-SIZE`, naming the file.
    """
    check_files(folder)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    check_description(folder, names, own_adapter=own_adapter, replaced=replaced)
    check_sizes(folder, weight_files.parameters(weight_files.read_folders(_all_folders(folder))))


@checking("MODEL-CONFIG", "the model's settings")
def check_description(
    folder: Path,
    names: Collection[str],
    *,
    own_adapter: bool = False,
    replaced: frozenset[str] = frozenset(),
) -> None:
    """All that can be said without the weights: settings as they lie in the folder, other files by name.

    `names`: of all the model's files, relative to it. Raises what `check_folder` raises, save of sizes.
    """
    for path in filter(is_settings, sorted(folder.rglob("*.json"))):
        name = path.relative_to(folder).as_posix()
        with checking("MODEL-CONFIG", name):
            _check_settings(read_json(path, name), name, replaced)
    check_weights(folder, names)
    for inner in module_folders(folder):
        if (inner / ADAPTER).is_file() and not (
            own_adapter and _has_base(inner, beside(folder, inner, names))
        ):
            # Its base would be another repository, at a revision that nobody pinned.
            _refuse(
                "MODEL-ADAPTER",
                ADAPTER,
                "makes this an adapter of another model; merge it and submit the whole",
            )


@checking("MODEL-CONFIG", "the model's sizes")
def check_sizes(folder: Path, stored: int) -> None:
    """The settings of each module against the stored parameters. Raises EvaluationError `MODEL-SIZE`."""
    for path in (inner / name for inner in _all_folders(folder) for name in _SIZED):
        if not path.is_file():
            continue
        name = path.relative_to(folder).as_posix()
        settings = read_json(path, name)
        is_model = isinstance(settings, dict) and bool({"model_type", "architectures"} & set(settings))
        (check_model_size if is_model else check_module_size)(name, settings, stored)


def _all_folders(folder: Path) -> list[Path]:
    return list(dict.fromkeys((folder, *module_folders(folder))))


def _has_base(folder: Path, stored: set[str]) -> bool:
    weights = {name for name in stored if name.endswith(".safetensors")}
    return (folder / _CONFIG).is_file() and bool(weights - {ADAPTER_WEIGHTS})


def _check_settings(value: object, name: str, replaced: frozenset[str]) -> None:
    check_transformer(value, name)
    deepest = 0
    for key, setting, depth in walked(value):
        deepest = max(deepest, depth)
        if key == "auto_map":
            _refuse("MODEL-CODE", name, "has auto_map, which imports the model's own code")
        if key == "trust_remote_code" and setting:
            _refuse("MODEL-CODE", name, "turns trust_remote_code on")
        if key.lstrip("_").startswith("attn_implementation") and "/" in str(setting):
            _refuse("MODEL-CODE", name, f"loads code from the hub for attention: {_short(setting)}")
        _check_imports(key, setting, name)
        _check_classes(key, setting, name, replaced)
        check_choice(key, setting, name)
        if key == "modality_config" and isinstance(setting, dict) and set(setting) == {"message"}:
            _refuse("MODEL-CODE", name, "puts texts into a chat template, which is never rendered")
    if deepest > MAX_DEPTH:
        _refuse("MODEL-CONFIG", name, f"nests {deepest} deep; at most {MAX_DEPTH} levels are read")


def _check_imports(key: str, setting: object, name: str) -> None:
    """What libraries import by name: activations and tokenisers."""
    is_dotted = isinstance(setting, str) and "." in setting
    if key.endswith(_ACTIVATIONS) and is_dotted and not _ACTIVATION_CLASS.fullmatch(str(setting)):
        _refuse("MODEL-CODE", name, f"imports {_short(setting)} as an activation; only torch.nn is allowed")
    if key == "tokenizer_class" and is_dotted and not _OWN_CLASS.fullmatch(str(setting)):
        problem = f"imports {_short(setting)} as a tokeniser; only the library's are allowed"
        _refuse("MODEL-CODE", name, problem)


def _check_classes(key: str, setting: object, name: str, replaced: frozenset[str]) -> None:
    """Classes of modules: `type` in modules.json, `types` of a router, which may lie in its config.json."""
    named: list[object] = []
    if key == "type" and Path(name).name == MODULES:
        named = [setting]
    if key == "types" and isinstance(setting, dict):
        named = list(setting.values())
    for each in map(str, named):
        if each not in replaced and not _OWN_CLASS.fullmatch(each):
            problem = f"imports {_short(each)}; only classes of sentence_transformers are allowed"
            _refuse("MODEL-CODE", name, problem)


def _short(setting: object) -> str:
    return str(setting)[:80]


def _refuse(code: str, name: str, problem: str) -> NoReturn:
    raise EvaluationError(code, f"{name} {problem}")
