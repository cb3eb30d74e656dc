"""The system that a sweep changes: loaded, and with what it made of the dataset."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scipy.sparse import issparse

from evaluations.errors import EvaluationError
from evaluations.search.maxsim import TokenVectors
from evaluations.sparsity.sweeps.vectors import Encoded, Form
from evaluations.systems.abilities import encodes
from evaluations.systems.base import System, SystemSpec


@dataclass
class LoadedSubject:
    """`encoded` is taken when it is first asked for: before the system encodes with another model."""

    system: System
    spec: SystemSpec
    load: Callable[[SystemSpec], System]
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    _encoded: Encoded | None = field(default=None, init=False)

    @property
    def encoded(self) -> Encoded:
        if self._encoded is None:
            self._encoded = encoded_by(self.system)
        return self._encoded

    @property
    def module(self) -> Any:
        if not encodes(self.system):
            raise EvaluationError("SWEEP-KIND", f"{self.spec.kind} has no model that could be changed")
        return self.system.encoder.module


def device_of(system: Any) -> str:
    """`cpu` or `cuda`: where its model runs, and its vectors are searched."""
    return str(getattr(getattr(system, "encoder", None), "device", "cpu"))


def encoded_by(system: Any) -> Encoded:
    """Raises EvaluationError `SWEEP-KIND` where the system keeps no vectors."""
    try:
        documents, queries = system.document_vectors, system.query_vectors
    except AttributeError as error:
        raise EvaluationError("SWEEP-KIND", "the system keeps no vectors that could be changed") from error
    form: Form = "dense"
    if issparse(documents):
        form = "sparse"
    elif isinstance(documents, TokenVectors):
        form = "multi-vector"
    mean = bool(getattr(getattr(system, "encoder", None), "mean", False))
    return Encoded(form, system.document_ids, documents, system.query_ids, queries, mean)
