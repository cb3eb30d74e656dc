"""Loading without a tensor of chance: what the file does not hold, libraries fill with random numbers.

sentence-transformers drops the loading information of transformers, so it is noted where the model is loaded.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from evaluations.errors import EvaluationError

_ABSENT = ("Missing key(s) in state_dict", "Could not find 'model.safetensors'")


@contextmanager
def loading_from(folder: Path) -> Iterator[set[str]]:
    """`loading_noted`, where what sentence-transformers cannot load is the submitter's to mend.

    Raises EvaluationError `MODEL-LOAD`, or `HEAD-MISSING` where a module's own file lacks its tensors.
    """
    try:
        with loading_noted() as missing:
            yield missing
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError) as error:
        code = "HEAD-MISSING" if any(words in str(error) for words in _ABSENT) else "MODEL-LOAD"
        problem = f"sentence-transformers cannot load {folder.name}: {type(error).__name__}: {error}"
        raise EvaluationError(code, problem[:600]) from error


@contextmanager
def loading_noted() -> Iterator[set[str]]:
    """Inside, each `from_pretrained` adds the names of the tensors that its files did not hold."""
    missing: set[str] = set()
    original = PreTrainedModel.__dict__["from_pretrained"]

    def noting(cls: type[PreTrainedModel], *args: Any, **settings: Any) -> Any:
        wants_info = settings.pop("output_loading_info", False)
        model, info = original.__func__(cls, *args, output_loading_info=True, **settings)
        missing.update(info["missing_keys"], (str(key) for key in info["mismatched_keys"]))
        return (model, info) if wants_info else model

    setattr(PreTrainedModel, "from_pretrained", classmethod(noting))  # noqa: B010 - a method, to mypy
    try:
        yield missing
    finally:
        setattr(PreTrainedModel, "from_pretrained", original)  # noqa: B010


def require_all_stored(missing: set[str], *, unused_prefixes: tuple[str, ...] = ()) -> None:
    """Raises EvaluationError `HEAD-MISSING` for newly made tensors, save those that nothing reads."""
    made = sorted(name for name in missing if not name.startswith(unused_prefixes))
    if made:
        listed = ", ".join(made[:5])
        problem = (
            f"{len(made)} tensors are not in the model's files and would be random: {listed}; store them"
        )
        raise EvaluationError("HEAD-MISSING", problem)
