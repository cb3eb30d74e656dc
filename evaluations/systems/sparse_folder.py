"""Which of the sparse encoders a folder holds, and which settings are its to have. Nothing is loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from evaluations.errors import EvaluationError
from evaluations.systems.base import Value
from evaluations.systems.safety import MODULES, check_folder, read_json

Form = Literal["modules", "idf", "masked", "causal"]

CONFIG = "config.json"
IDF = "idf.json"
_LIBRARY = "config_sentence_transformers.json"
_NAMES: Mapping[Form, str] = {
    "modules": "a saved SparseEncoder",
    "idf": "a masked language model with idf.json",
    "masked": "a masked language model",
    "causal": "a causal language model",
}
_ONLY_FOR: Mapping[str, tuple[Form, ...]] = {
    "activation": ("idf", "masked"),
    "query_prompt": ("modules", "idf", "masked"),
    "document_prompt": ("modules", "idf", "masked"),
    "query_template": ("causal",),
    "document_template": ("causal",),
}


def check_sparse_folder(folder: Path) -> Form:
    """What the folder holds. Raises what `check_folder` raises, and EvaluationError `HEAD-MISSING`.

    sentence-transformers gives whatever declares no sparse head a random one, so that is refused here.
    """
    form = _form(folder)
    check_folder(folder, own_adapter=form == "causal")
    if form == "modules":
        settings = _object(folder, _LIBRARY) if (folder / _LIBRARY).is_file() else {}
        if settings.get("model_type", "SentenceTransformer") != "SparseEncoder":
            raise _no_head(f'{_LIBRARY} does not say "model_type": "SparseEncoder"')
    elif form == "idf" and not _architecture(folder, "ForMaskedLM"):
        raise _no_head(f"{IDF} lies beside no masked language model")
    return form


def check_options(form: Form, options: Mapping[str, Value]) -> None:
    """Raises EvaluationError `OPTION-UNUSED` (it would do nothing), `OPTION-MISSING` (it is needed)."""
    for name, forms in _ONLY_FOR.items():
        if options[name] is not None and form not in forms:
            problem = f"option {name} does nothing for {_NAMES[form]}; leave it unset"
            raise EvaluationError("OPTION-UNUSED", problem)
    if form == "idf" and options["activation"] is None:
        problem = f"{IDF} without {MODULES} does not say how documents are activated; set option activation"
        raise EvaluationError("OPTION-MISSING", problem)
    if form == "causal" and options["document_template"] is None:
        problem = "a causal language model needs option document_template, such as {text}\\n{text}"
        raise EvaluationError("OPTION-MISSING", problem)


def _form(folder: Path) -> Form:
    if (folder / MODULES).is_file():
        return "modules"
    if (folder / IDF).is_file():
        return "idf"
    if _architecture(folder, "ForMaskedLM"):
        return "masked"
    if _architecture(folder, "ForCausalLM"):
        return "causal"
    raise _no_head(f"there is no {MODULES}, and {CONFIG} names no architecture with a language model's head")


def _architecture(folder: Path, ending: str) -> bool:
    config = _object(folder, CONFIG) if (folder / CONFIG).is_file() else {}
    named = config.get("architectures")
    return isinstance(named, list) and any(str(name).endswith(ending) for name in named)


def _object(folder: Path, name: str) -> dict[str, object]:
    found = read_json(folder / name, name)
    if not isinstance(found, dict):
        raise EvaluationError("MODEL-CONFIG", f"{name} is not an object")
    return found


def _no_head(why: str) -> EvaluationError:
    problem = f"the model declares no sparse head: {why}; libraries would add a random one"
    return EvaluationError("HEAD-MISSING", problem)
