"""What a model's folder may not do, checked before anything is loaded: import code, or unpickle."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from evaluations.errors import EvaluationError

MAX_JSON_BYTES = 4 * 1024 * 1024  # larger ones are vocabularies, which hold no settings
MODULES = "modules.json"
ROUTER = "router_config.json"
ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_OWN_PREFIX = "sentence_transformers."
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


def check_folder(folder: Path, *, own_adapter: bool = False, replaced: frozenset[str] = frozenset()) -> None:
    """Refuses what would run the submitter's code, what is not in safetensors, and what is not whole.

    With `own_adapter` an adapter may lie beside the whole model that it is of. `replaced`: classes that the
    loader never imports, since it takes its own for them.
    Raises EvaluationError `MODEL-CODE`, `MODEL-WEIGHTS`, `MODEL-ADAPTER` or `MODEL-CONFIG`, naming the file.
    """
    for path in sorted(folder.rglob("*.json")):
        if path.stat().st_size <= MAX_JSON_BYTES:
            name = path.relative_to(folder).as_posix()
            _check_settings(read_json(path, name), name, replaced)
    _check_weights(folder)
    for inner in module_folders(folder):
        if (inner / ADAPTER).is_file() and not (own_adapter and _has_base(inner)):
            # Its base would be another repository, at a revision that nobody pinned.
            _refuse(
                "MODEL-ADAPTER",
                ADAPTER,
                "makes this an adapter of another model; merge it and submit the whole",
            )


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


def _has_base(folder: Path) -> bool:
    stored = {path.name for path in folder.glob("*.safetensors")}
    return (folder / "config.json").is_file() and bool(stored - {ADAPTER_WEIGHTS})


def _check_settings(value: object, name: str, replaced: frozenset[str]) -> None:
    for key, setting in _settings(value):
        if key == "auto_map":
            _refuse("MODEL-CODE", name, "has auto_map, which imports the model's own code")
        if key == "trust_remote_code" and setting:
            _refuse("MODEL-CODE", name, "turns trust_remote_code on")
        if key.lstrip("_").startswith("attn_implementation") and "/" in str(setting):
            _refuse("MODEL-CODE", name, f"loads code from the hub for attention: {setting}")
        if key == "activation_function" and "." in str(setting) and not str(setting).startswith("torch.nn."):
            _refuse("MODEL-CODE", name, f"imports {setting} as an activation; only torch.nn is allowed")
        if Path(name).name in (MODULES, ROUTER) and str(setting) not in replaced:
            _check_class(key, setting, name)


def _check_class(key: str, setting: object, name: str) -> None:
    """Classes of modules: `type` in modules.json, any value that names a class in a router's `types`."""
    if key != "type" and not (name.endswith(ROUTER) and "." in str(setting)):
        return
    if isinstance(setting, str) and not setting.startswith(_OWN_PREFIX):
        _refuse("MODEL-CODE", name, f"imports {setting}; only classes of sentence_transformers are allowed")


def _check_weights(folder: Path) -> None:
    folders = module_folders(folder)
    for inner in folders:
        stored = {path.suffix for path in inner.iterdir() if path.is_file()}
        if ".safetensors" not in stored and stored & set(_PICKLES):
            where = inner.relative_to(folder).as_posix()
            _refuse("MODEL-WEIGHTS", where, "has pickled weights and no .safetensors; convert them")
    if not any(next(inner.glob("*.safetensors"), None) for inner in folders):
        _refuse("MODEL-WEIGHTS", folder.name, "has no .safetensors file; only safetensors are loaded")


def _settings(value: object) -> Iterator[tuple[str, object]]:
    """Every key with its value, at any depth. A loop, since a submitted file may nest without end."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield from found.items()
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)


def read_json(path: Path, name: str) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise EvaluationError("MODEL-CONFIG", f"{name}: is not JSON ({error})") from error


def _refuse(code: str, name: str, problem: str) -> NoReturn:
    raise EvaluationError(code, f"{name} {problem}")
