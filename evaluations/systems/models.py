"""What the kinds that load a model have in common: its exact revision, its inspection, its settings."""

from collections.abc import Mapping
from dataclasses import replace

from evaluations.errors import EvaluationError
from evaluations.systems import safety, weight_files
from evaluations.systems.base import Option, SystemSpec
from evaluations.systems.devices import AUTO, PRECISIONS
from evaluations.systems.locations import fetch, pin

PRECISION = Option(
    "precision",
    "str",
    "fp32",
    "Of the matrix products; the board's default is fp32. auto: bf16 where the processor has it.",
    choices=PRECISIONS,
    resolved=(AUTO,),
)
MAX_LENGTH = Option(
    "max_length",
    "int",
    None,
    "Longest text in tokens; unset: the model's own.",
    minimum=1,
    maximum=131_072,
)
DIMENSIONS = Option(
    "dimensions",
    "int",
    None,
    "How many of a vector's first dimensions are kept, for models trained to be cut (Matryoshka); "
    "unset: the model's own.",
    minimum=1,
    maximum=1_000_000,
)
QUERY_PROMPT = Option("query_prompt", "str", None, "Text before each query; unset: the model's own prompt.")
DOCUMENT_PROMPT = Option(
    "document_prompt", "str", None, "Text before each document; unset: the model's own prompt."
)


def pin_model(spec: SystemSpec, *, allow_path: bool = False) -> SystemSpec:
    return replace(spec, revision=pin(str(spec.location), spec.revision, allow_path=allow_path))


def inspect_model(
    spec: SystemSpec, *, own_adapter: bool = False, replaced: frozenset[str] = frozenset()
) -> Mapping[str, object]:
    """Where the model is, whether it is safe to load, and how large it is; no tensor is read."""
    model = fetch(str(spec.location), spec.revision, allow_path=True)
    found: dict[str, object] = {"folder": str(model.folder), "revision": model.revision}
    try:
        safety.check_folder(model.folder, own_adapter=own_adapter, replaced=replaced)
    except EvaluationError as error:
        return {**found, "safe": False, "why": str(error)}
    parameters = weight_files.parameters(weight_files.read_folders(safety.module_folders(model.folder)))
    return {**found, "safe": True, "parameters": parameters}
