"""Which kind of system a folder holds, and what tells it."""

from collections.abc import Mapping
from pathlib import Path

from evaluations.errors import one_line
from evaluations.inspection.settings import LIBRARY, architectures_of, modules_of, settings_of
from evaluations.systems.base import Value
from evaluations.systems.safety import ADAPTER, MODULES
from evaluations.systems.settings_files import checking
from evaluations.systems.vector_files.meta import META

Found = tuple[str | None, str, Mapping[str, Value]]

_BY_MODEL_TYPE = {
    "SentenceTransformer": "dense",
    "SparseEncoder": "sparse",
    "MultiVectorEncoder": "late-interaction",
    "CrossEncoder": "rerank",
}
_BY_MODULE = {
    "SpladePooling": "sparse",
    "SparseAutoEncoder": "sparse",
    "CSRSparsity": "sparse",
    "SparseStaticEmbedding": "sparse",
    "MLMTransformer": "sparse",
    "MultiVectorMask": "late-interaction",
    "LogitScore": "rerank",
}
_ECHO = "{text}\n{text}"
_NOTHING: Mapping[str, Value] = {}


@checking("MODEL-CONFIG", "the model's kind")
def kind_of_folder(folder: Path) -> Found:
    """(kind or None, what tells it, options that it needs). Raises EvaluationError `MODEL-CONFIG`."""
    if (folder / META).is_file() or any(folder.glob(f"*/{META}")):
        return "vectors", f"{META} describes vectors", _NOTHING
    if (folder / MODULES).is_file():
        return _of_modules(folder)
    if (folder / "idf.json").is_file():
        return "sparse", "idf.json holds the weights of query tokens", {"activation": "relu"}
    return _of_architecture(folder)


def _of_modules(folder: Path) -> Found:
    said = settings_of(folder, LIBRARY).get("model_type")
    if isinstance(said, str) and said in _BY_MODEL_TYPE:
        return _BY_MODEL_TYPE[said], f'{LIBRARY} says "model_type": "{said}"', _NOTHING
    names = [name for name, _ in modules_of(folder)]
    for name in names:
        if name in _BY_MODULE:
            return _BY_MODULE[name], f"{MODULES} names {name}", _NOTHING
    if "Dense" in names and "Pooling" not in names:
        return "late-interaction", f"{MODULES} projects tokens and pools nothing", _NOTHING
    listed = one_line(", ".join(names))[:200]
    return "dense", f"{MODULES} names {listed or 'nothing'}", _NOTHING


def _of_architecture(folder: Path) -> Found:
    names = architectures_of(folder)
    for name in names:
        said = f"config.json names {name}"
        if name == "HF_ColBERT":
            return "late-interaction", said, _NOTHING
        if name.endswith("ForSequenceClassification"):
            return "rerank", said, _NOTHING
        if name.endswith("ForMaskedLM"):
            return "sparse", f"{said}, without {MODULES}: read as SPLADE", _NOTHING
        if name.endswith("ForCausalLM"):
            return "sparse", f"{said}: read as a decoder-only encoder", {"document_template": _ECHO}
    if (folder / ADAPTER).is_file():
        return None, f"{ADAPTER} makes it an adapter of another model", _NOTHING
    if names:
        return "dense", f"config.json names {names[0]}, without {MODULES}: its tokens are averaged", _NOTHING
    return None, f"it has neither {MODULES}, nor a config.json with architectures, nor {META}", _NOTHING
