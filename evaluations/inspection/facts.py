"""Sizes that settings and headers name. Nothing is loaded."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from evaluations.inspection.inspection import Facts
from evaluations.inspection.settings import (
    CONFIG,
    TOKENIZER,
    TRANSFORMER,
    architectures_of,
    modules_of,
    number,
    settings_of,
)
from evaluations.systems.safety import MODULES
from evaluations.systems.settings_files import checking
from evaluations.systems.vector_files import folder_for, read_meta

_UNLIMITED = 10**6  # tokenisers write 1e30 where nothing limits a text
_WIDTHS = ("out_features", "hidden_dim", "embedding_dim", "word_embedding_dimension", "embedding_dimension")


@checking("MODEL-CONFIG", "the model's settings")
def model_facts(folder: Path, kind: str | None, parameters: int | None) -> Facts:
    """Raises EvaluationError `MODEL-CONFIG` for settings that are not JSON."""
    config = dict(_innermost(folder))
    vocabulary = number(config, "vocab_size")
    named = architectures_of(folder)
    return Facts(
        architecture=named[0] if named else None,
        parameters=parameters,
        vocabulary=vocabulary,
        dimensions=_dimensions(folder, kind, config, vocabulary),
        max_length=_max_length(folder, config),
    )


def vector_facts(folder: Path) -> Facts:
    """Of the one dataset, or of the first. Raises EvaluationError `VECTORS-...`."""
    inner = sorted(path.parent for path in folder.glob("*/meta.json"))
    place = folder if (folder / "meta.json").is_file() or not inner else inner[0]
    return Facts(dimensions=read_meta(folder_for(place, None)).dimensions)


def _innermost(folder: Path) -> Mapping[str, object]:
    """The text model's settings, where a model has several."""
    config = settings_of(folder, CONFIG)
    inner = config.get("text_config")
    return {**config, **inner} if isinstance(inner, dict) else config


def _dimensions(
    folder: Path, kind: str | None, config: Mapping[str, object], vocabulary: int | None
) -> int | None:
    """The last module that names a width; else the hidden size, or of a sparse encoder the vocabulary."""
    widths = list(_widths(folder))
    if widths:
        return widths[-1]
    if kind == "rerank":
        return None
    if kind == "sparse":
        return vocabulary
    return number(config, "hidden_size", "d_model", "n_embd", "dim")


def _widths(folder: Path) -> Iterator[int]:
    if not (folder / MODULES).is_file():
        return
    for name, inner in modules_of(folder):
        if name in ("Dense", "SparseAutoEncoder", "CSRSparsity", "StaticEmbedding", "Pooling"):
            settings = settings_of(inner, CONFIG) if inner != folder else {}
            width = number(settings, *_WIDTHS)
            modes = sum(value is True for key, value in settings.items() if key.startswith("pooling_mode"))
            if width:
                yield width * max(1, modes if name == "Pooling" else 1)


def _max_length(folder: Path, config: Mapping[str, object]) -> int | None:
    """The library's own setting; else the tokeniser's; else the positions that the model has."""
    said = number(settings_of(folder, TRANSFORMER), "max_seq_length")
    tokens = number(settings_of(folder, TOKENIZER), "model_max_length")
    positions = number(config, "max_position_embeddings", "n_positions")
    return said or (tokens if tokens and tokens < _UNLIMITED else None) or positions
