"""Reading a folder's settings without trusting that they are there, or of a right type."""

from collections.abc import Mapping
from pathlib import Path

from evaluations.systems.library_settings import check_choice
from evaluations.systems.safety import MODULES, read_json

CONFIG = "config.json"
LIBRARY = "config_sentence_transformers.json"
TRANSFORMER = "sentence_bert_config.json"
TOKENIZER = "tokenizer_config.json"
_LARGEST = 2**53  # what JavaScript and databases hold exactly


def settings_of(folder: Path, name: str) -> Mapping[str, object]:
    """Empty where there is no such file. Raises EvaluationError `MODEL-CONFIG` for one that is not JSON."""
    path = folder / name
    found = read_json(path, name) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def modules_of(folder: Path) -> list[tuple[str, Path]]:
    """Class name and folder of each module, in order."""
    path = folder / MODULES
    found = read_json(path, MODULES) if path.is_file() else []
    modules = [module for module in found if isinstance(module, dict)] if isinstance(found, list) else []
    return [
        (str(module.get("type", "")).rpartition(".")[2], folder / str(module.get("path", "")))
        for module in modules
    ]


def architectures_of(folder: Path) -> list[str]:
    """Raises EvaluationError `MODEL-CONFIG` for what is no list of names of classes."""
    named = settings_of(folder, CONFIG).get("architectures")
    check_choice("architectures", named, CONFIG)
    return [str(name) for name in named] if isinstance(named, list) else []


def number(settings: Mapping[str, object], *keys: str) -> int | None:
    """The first of the keys that holds a whole number from 1 that a database takes."""
    for key in keys:
        value = settings.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LARGEST:
            return value
    return None
