"""What a model's folder may not do, checked before it is loaded: import code, unpickle, take all memory."""

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import NoReturn

from evaluations.errors import EvaluationError
from evaluations.model_files import PICKLE_SUFFIXES
from evaluations.systems import weight_files
from evaluations.systems.folder_files import MAX_SETTINGS_BYTES, check_files, is_settings
from evaluations.systems.model_size import check_model_size, check_module_size

MAX_DEPTH = 64  # of settings; libraries walk them by recursion
MODULES = "modules.json"
ROUTER = "router_config.json"
ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_CONFIG = "config.json"
# A class, by its capital: the library's modules also hold functions and other libraries, such as torch.
_OWN_CLASS = re.compile(r"sentence_transformers(\.[a-z_][a-z0-9_]*)*\.[A-Z][A-Za-z0-9]*")
_ACTIVATIONS = ("activation_function", "activation_fn")
_ACTIVATION_CLASS = re.compile(r"torch\.nn(\.[a-z_]+)*\.[A-Z][A-Za-z0-9]*")
_WHOLE = ("model.safetensors", "model.safetensors.index.json")


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
        _check_settings(read_json(path, name), name, replaced)
    _check_weights(folder, names)
    for inner in module_folders(folder):
        if (inner / ADAPTER).is_file() and not (
            own_adapter and _has_base(inner, _beside(folder, inner, names))
        ):
            # Its base would be another repository, at a revision that nobody pinned.
            _refuse(
                "MODEL-ADAPTER",
                ADAPTER,
                "makes this an adapter of another model; merge it and submit the whole",
            )


def check_sizes(folder: Path, stored: int) -> None:
    """The settings of each module against the stored parameters. Raises EvaluationError `MODEL-SIZE`."""
    for inner in _all_folders(folder):
        path = inner / _CONFIG
        if not path.is_file():
            continue
        name = path.relative_to(folder).as_posix()
        settings = read_json(path, name)
        is_model = isinstance(settings, dict) and bool({"model_type", "architectures"} & set(settings))
        (check_model_size if is_model else check_module_size)(name, settings, stored)


def _all_folders(folder: Path) -> list[Path]:
    return list(dict.fromkeys((folder, *module_folders(folder))))


def module_folders(folder: Path) -> list[Path]:
    """The folders of the modules that `modules.json` names, or the folder itself where there is none.

    A router's folder is followed by those of the modules on its routes.
    """
    path = folder / MODULES
    if not path.is_file():
        return [folder]
    modules = read_json(path, MODULES)
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        _refuse("MODEL-CONFIG", MODULES, "is not a list of modules")
    named = [folder / str(module.get("path", "")) for module in modules]
    folders = dict.fromkeys(path for inner in named for path in (inner, *_routed(inner)))
    for inner in folders:
        if not inner.resolve().is_relative_to(folder.resolve()):
            _refuse("MODEL-CODE", MODULES, "names a folder outside the model")
    return [inner for inner in folders if inner.is_dir()]


def _routed(folder: Path) -> list[Path]:
    """The modules on a router's routes; older routers wrote theirs into config.json."""
    for name in (ROUTER, "config.json"):
        if (folder / name).is_file():
            router = read_json(folder / name, name)
            types = router.get("types") if isinstance(router, dict) else None
            return [folder / str(module) for module in types] if isinstance(types, dict) else []
    return []


def _has_base(folder: Path, stored: set[str]) -> bool:
    weights = {name for name in stored if name.endswith(".safetensors")}
    return (folder / _CONFIG).is_file() and bool(weights - {ADAPTER_WEIGHTS})


def _check_settings(value: object, name: str, replaced: frozenset[str]) -> None:
    deepest = 0
    for key, setting, depth in _settings(value):
        deepest = max(deepest, depth)
        if key == "auto_map":
            _refuse("MODEL-CODE", name, "has auto_map, which imports the model's own code")
        if key == "trust_remote_code" and setting:
            _refuse("MODEL-CODE", name, "turns trust_remote_code on")
        if key.lstrip("_").startswith("attn_implementation") and "/" in str(setting):
            _refuse("MODEL-CODE", name, f"loads code from the hub for attention: {setting}")
        _check_imports(key, setting, name, replaced)
        if key == "modality_config" and isinstance(setting, dict) and set(setting) == {"message"}:
            _refuse("MODEL-CODE", name, "puts texts into a chat template, which is never rendered")
    if deepest > MAX_DEPTH:
        _refuse("MODEL-CONFIG", name, f"nests {deepest} deep; at most {MAX_DEPTH} levels are read")


def _check_imports(key: str, setting: object, name: str, replaced: frozenset[str]) -> None:
    """What libraries import by name: activations, tokenisers, and the classes of modules."""
    is_dotted = isinstance(setting, str) and "." in setting
    if key.endswith(_ACTIVATIONS) and is_dotted and not _ACTIVATION_CLASS.fullmatch(str(setting)):
        _refuse("MODEL-CODE", name, f"imports {setting} as an activation; only torch.nn is allowed")
    if key == "tokenizer_class" and is_dotted and not _OWN_CLASS.fullmatch(str(setting)):
        _refuse("MODEL-CODE", name, f"imports {setting} as a tokeniser; only the library's are allowed")
    if Path(name).name in (MODULES, ROUTER) and str(setting) not in replaced:
        _check_class(key, setting, name)


def _check_class(key: str, setting: object, name: str) -> None:
    """Classes of modules: `type` in modules.json, any value that names a class in a router's `types`."""
    if key != "type" and not (name.endswith(ROUTER) and "." in str(setting)):
        return
    if isinstance(setting, str) and not _OWN_CLASS.fullmatch(setting):
        _refuse("MODEL-CODE", name, f"imports {setting}; only classes of sentence_transformers are allowed")


def _check_weights(folder: Path, names: Collection[str]) -> None:
    folders = module_folders(folder)
    found = False
    for inner in folders:
        stored = _beside(folder, inner, names)
        found = found or any(name.endswith(".safetensors") for name in stored)
        pickles = sorted(name for name in stored if name.endswith(PICKLE_SUFFIXES))
        if pickles and not stored & {*_WHOLE, ADAPTER_WEIGHTS}:
            where = (inner.relative_to(folder) / pickles[0]).as_posix()
            problem = "is a pickle, which a loader could take here, since there is no model.safetensors"
            _refuse("MODEL-WEIGHTS", where, f"{problem}; save_pretrained(safe_serialization=True) writes one")
        if "adapter_model.bin" in stored and ADAPTER_WEIGHTS not in stored:
            _refuse("MODEL-WEIGHTS", "adapter_model.bin", "is a pickle; save the adapter as safetensors")
    if not found:
        _refuse("MODEL-WEIGHTS", folder.name, "has no .safetensors file; only safetensors are loaded")


def _beside(folder: Path, inner: Path, names: Collection[str]) -> set[str]:
    """Names of the files directly in a module's folder."""
    where = PurePosixPath(inner.relative_to(folder).as_posix())
    return {path.name for path in map(PurePosixPath, names) if path.parent == where}


def _settings(value: object) -> Iterator[tuple[str, object, int]]:
    """Every key with its value and depth. A loop, since a submitted file may nest without end."""
    waiting = [(value, 0)]
    while waiting:
        found, depth = waiting.pop()
        if isinstance(found, dict):
            yield from ((key, setting, depth) for key, setting in found.items())
            waiting.extend((inner, depth + 1) for inner in found.values())
        elif isinstance(found, list):
            waiting.extend((inner, depth + 1) for inner in found)


def read_json(path: Path, name: str) -> object:
    """Raises EvaluationError `MODEL-CONFIG`."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_SETTINGS_BYTES + 1)
        if len(content) > MAX_SETTINGS_BYTES:
            raise ValueError(f"larger than {MAX_SETTINGS_BYTES:,} bytes")
        return json.loads(content.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise EvaluationError("MODEL-CONFIG", f"{name}: is not JSON ({error})") from error


def _refuse(code: str, name: str, problem: str) -> NoReturn:
    raise EvaluationError(code, f"{name} {problem}")
