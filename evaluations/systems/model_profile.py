"""What is reported of the model behind a system: parameters, stored weights, and a sample of texts watched
inside it.
"""

from collections.abc import Mapping
from pathlib import Path

from evaluations.errors import EvaluationFailed
from evaluations.sparsity.names import WATCHED_METRICS
from evaluations.sparsity.parameters import parameter_findings
from evaluations.sparsity.sample import Sample
from evaluations.sparsity.weights import weight_profile
from evaluations.systems.abilities import Side, TextEncoder
from evaluations.systems.safety import module_folders
from evaluations.tracks import Findings, not_applicable


def model_profile(
    encoder: TextEncoder, config: Mapping[str, object], folder: Path, sample: Sample
) -> Findings:
    """Of a model that encodes one text at a time. Raises EvaluationError `MODEL-WEIGHTS`."""
    return stored_profile(encoder.module, config, folder) | _watched(encoder, config, sample)


def stored_profile(module: object, config: Mapping[str, object], folder: Path) -> Findings:
    """What needs no text: parameters of the loaded module, zeros of the folder's weights."""
    counts = parameter_findings(named_parameters(module), config)
    return counts | weight_profile(module_folders(folder), config)


def named_parameters(*modules: object) -> list[tuple[str, int]]:
    """Names and sizes, each parameter once, however many of the modules share it."""
    found: dict[int, tuple[str, int]] = {}
    for module in modules:
        for name, parameter in module.named_parameters():  # type: ignore[attr-defined]
            found.setdefault(id(parameter), (name, parameter.numel()))
    return list(found.values())


def _watched(encoder: TextEncoder, config: Mapping[str, object], sample: Sample) -> Findings:
    """Looking inside must not cost an evaluation that has succeeded: what fails here is a reason."""
    from evaluations.sparsity.probe import ProbedModel, probed  # here, since it brings torch

    def encode(text: str, side: Side) -> object:
        return encoder.forward(encoder.tokenise([text], side), side)

    try:
        return probed(ProbedModel(encoder.module, config, encode), sample)
    except _FAILURES as error:
        reason = f"the model could not be watched: {type(error).__name__}: {error}"
        return not_applicable(reason[:280], *WATCHED_METRICS)


_FAILURES = (
    AttributeError, EvaluationFailed, IndexError, KeyError, MemoryError, NotImplementedError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip
