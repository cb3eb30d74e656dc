"""Which of the sparse encoders a folder holds, and which settings are its to have. Nothing is loaded."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Literal, get_args

from evaluations.errors import EvaluationError
from evaluations.systems import weight_files
from evaluations.systems.base import Value
from evaluations.systems.safety import MODULES, check_folder, read_json
from evaluations.systems.sparse_heads import (
    CAUSAL_HEADS,
    MASKED_HEADS,
    TensorNames,
    check_model_head,
    check_module_heads,
)

Form = Literal["modules", "idf", "masked", "causal"]

CONFIG = "config.json"
IDF = "idf.json"
PLACE = "{text}"  # in a template, where the text goes
_LIBRARY = "config_sentence_transformers.json"
_NAMES: Mapping[str, str] = {
    "modules": "a saved SparseEncoder",
    "idf": "a masked language model with idf.json",
    "masked": "a masked language model",
    "causal": "a causal language model",
}
_ONLY_FOR: Mapping[str, tuple[str, ...]] = {
    "activation": ("idf", "masked"),
    "query_prompt": ("modules", "idf", "masked"),
    "document_prompt": ("modules", "idf", "masked"),
    "query_template": ("causal",),
    "document_template": ("causal",),
}


def check_sparse_folder(folder: Path) -> Form:
    """What the folder holds. Raises what `check_folder` raises, and EvaluationError `HEAD-MISSING`."""
    form = form_of(folder)
    check_folder(folder, own_adapter=form == "causal")
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*.safetensors")]
    check_head(folder, form, names, _tensor_names)
    return form


def check_head(folder: Path, form: Form, names: Collection[str], tensors: TensorNames) -> None:
    """What settings, and names of files and tensors, say: for models of the hub too, unfetched.

    sentence-transformers gives whatever declares no sparse head a random one, so that is refused here.
    `names`: of all the model's files, relative to it. Raises EvaluationError `HEAD-MISSING`.
    """
    if form == "idf" and not _architecture(folder, "ForMaskedLM"):
        raise _no_head(f"{IDF} lies beside no masked language model")
    if form == "modules":
        _require_sparse_encoder(folder)
        check_module_heads(folder, names, tensors)
    else:
        check_model_head(folder, CAUSAL_HEADS if form == "causal" else MASKED_HEADS, tensors)


def _require_sparse_encoder(folder: Path) -> None:
    settings = _object(folder, _LIBRARY) if (folder / _LIBRARY).is_file() else {}
    if settings.get("model_type", "SentenceTransformer") != "SparseEncoder":
        raise _no_head(f'{_LIBRARY} does not say "model_type": "SparseEncoder"')


def _tensor_names(folder: Path) -> Collection[str]:
    return {name for path in folder.glob("*.safetensors") for name in weight_files.read_header(path)}


def check_options(form: Form, options: Mapping[str, Value]) -> None:
    """Raises the first of `option_problems`."""
    for problem in option_problems(form, options):
        raise problem


def option_problems(form: str, options: Mapping[str, Value]) -> Iterator[EvaluationError]:
    """What is wrong with options for a model of this form; nothing of a form that is none of these.

    EvaluationError `OPTION-UNUSED` (it would do nothing), `OPTION-MISSING` (it is needed), `OPTION-RANGE`
    (of a template); each message begins with `option NAME:`.
    """
    if form not in get_args(Form):
        return
    for name, forms in _ONLY_FOR.items():
        if options[name] is not None and form not in forms:
            problem = f"option {name}: it does nothing for {_NAMES[form]}; leave it unset"
            yield EvaluationError("OPTION-UNUSED", problem)
    if form == "idf" and options["activation"] is None:
        problem = f"option activation: {IDF} without {MODULES} does not say how documents are activated"
        yield EvaluationError("OPTION-MISSING", f"{problem}; set it")
    if form == "causal":
        yield from _template_problems(options)


def _template_problems(options: Mapping[str, Value]) -> Iterator[EvaluationError]:
    if options["document_template"] is None:
        problem = "option document_template: a causal language model needs it"
        yield EvaluationError("OPTION-MISSING", f"{problem}; write one such as {PLACE}\\n{PLACE}")
    for name in ("document_template", "query_template"):
        copies = str(options[name]).count(PLACE)
        if options[name] is not None and copies not in (1, 2):
            problem = f"option {name}: {str(options[name])[:100]!r} has {PLACE} {copies} times"
            yield EvaluationError("OPTION-RANGE", f"{problem}; write it twice, or once for no echo")


def form_of(folder: Path) -> Form:
    """Raises EvaluationError `HEAD-MISSING`, `MODEL-CONFIG`."""
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
