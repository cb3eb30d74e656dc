"""The modules of a sentence-transformers model: their folders and classes, as its settings say."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NoReturn

from evaluations.errors import EvaluationError
from evaluations.systems.settings_files import checking, read_json

MODULES = "modules.json"
ROUTER = "router_config.json"
MAX_MODULES = 100
_MAX_PATH = 200  # characters; file systems take 255 bytes a name
# All others load by the library's own reader, which wants exactly `model.safetensors`.
_TRANSFORMERS = ("Transformer", "MLMTransformer", "CLIPModel")


@dataclass(frozen=True)
class Module:
    """`class_name`: without the packages it is in."""

    folder: Path
    class_name: str

    @property
    def is_transformer(self) -> bool:
        return self.class_name in _TRANSFORMERS


def model_modules(folder: Path) -> list[Module]:
    """What `modules.json` names, or the folder itself where there is none; a router before what it routes to.

    Raises EvaluationError `MODEL-CONFIG`, or `MODEL-CODE` for a folder outside the model.
    """
    with checking("MODEL-CONFIG", MODULES):
        if not (folder / MODULES).is_file():
            return [Module(folder, _TRANSFORMERS[0])]
        found: list[Module] = []
        waiting = list(_named(folder))
        while waiting:
            module = waiting.pop(0)
            if module in found:
                continue
            if len(found) == MAX_MODULES:
                _refuse("MODEL-CONFIG", f"leads to more than {MAX_MODULES} modules; is it one model?")
            found.append(module)
            waiting[:0] = _routed(folder, module.folder)
        return [module for module in found if module.folder.is_dir()]


def module_folders(folder: Path) -> list[Path]:
    """The folders of `model_modules`, each once. Raises what it raises."""
    return list(dict.fromkeys(module.folder for module in model_modules(folder)))


def _named(folder: Path) -> Iterator[Module]:
    modules = read_json(folder / MODULES, MODULES)
    if not isinstance(modules, list):
        _refuse("MODEL-CONFIG", "is not a list of modules")
    for module in modules:
        if not isinstance(module, dict):
            _refuse("MODEL-CONFIG", "is not a list of modules")
        yield _module(folder, folder, module.get("path", ""), module.get("type", ""))


def _routed(folder: Path, inner: Path) -> Iterator[Module]:
    """The modules on a router's routes; older routers wrote theirs into config.json."""
    for name in (ROUTER, "config.json"):
        router = read_json(inner / name, name) if (inner / name).is_file() else None
        types = router.get("types") if isinstance(router, dict) else None
        if isinstance(types, dict):
            for path, class_name in types.items():
                yield _module(folder, inner, path, class_name)
            return


def _module(folder: Path, beside: Path, path: object, class_name: object) -> Module:
    if not isinstance(path, str) or not isinstance(class_name, str):
        _refuse("MODEL-CONFIG", "names a module whose path or type is no text")
    if len(path) > _MAX_PATH or not path.isprintable():
        _refuse("MODEL-CONFIG", f"names a module at {path[:40]!r}, which is no path of a folder")
    place = beside / path
    if ".." in PurePosixPath(path).parts or not place.resolve().is_relative_to(folder.resolve()):
        _refuse("MODEL-CODE", "names a folder outside the model")
    return Module(place, class_name.rpartition(".")[2])


def _refuse(code: str, problem: str) -> NoReturn:
    raise EvaluationError(code, f"{MODULES} {problem}")
