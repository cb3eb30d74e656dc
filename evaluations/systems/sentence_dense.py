"""Dense encoders that sentence-transformers loads: one vector a text. Importing this brings torch.

Transformers with pooling, static embeddings, routers with modules for each side, mixtures of experts:
whatever its modules give as the embedding of a text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from sentence_transformers import SentenceTransformer

from evaluations.encoding.batches import Features
from evaluations.encoding.forms import DENSE, DenseForm, Float32
from evaluations.encoding.library import (
    MODEL_KWARGS,
    LibraryModel,
    prompts,
    reads_pooler,
    require_inner_product,
    set_max_length,
)
from evaluations.errors import EvaluationError
from evaluations.systems.abilities import Side
from evaluations.systems.base import Value
from evaluations.systems.loading import loading_from, require_all_stored


@dataclass(frozen=True)
class SentenceDense(LibraryModel):
    """`dimensions`: how many are kept, None for all. Vectors that are compared by angle have length 1."""

    normalised: bool
    dimensions: int | None

    @classmethod
    def load(cls, folder: Path, options: Mapping[str, Value], device: str) -> "SentenceDense":
        """Raises EvaluationError `HEAD-MISSING`, `MODEL-LOAD`, `MODEL-SIMILARITY`, `OPTION-...`."""
        with loading_from(folder) as missing:
            model = SentenceTransformer(
                str(folder),
                device=device,
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs=dict(MODEL_KWARGS),
            )
        require_all_stored(missing, unused_prefixes=() if reads_pooler(model) else ("pooler.",))
        set_max_length(model, options["max_length"])
        return cls(
            model=model.eval(),
            prompts=prompts(options),
            normalised=require_inner_product(model, folder.name),
            dimensions=_dimensions(model, options["dimensions"]),
        )

    @property
    def form(self) -> DenseForm:
        return DENSE

    @property
    def floats_per_token(self) -> int:
        return 0

    @property
    def floats_per_text(self) -> int:
        return int(cast("SentenceTransformer", self.model).get_embedding_dimension() or 1)

    def forward(self, features: Features, side: Side) -> Float32:
        found = self.run(features, side)["sentence_embedding"][:, : self.dimensions]
        vectors: Float32 = found.float().cpu().numpy()
        return _normalised(vectors) if self.normalised else vectors


def _dimensions(model: SentenceTransformer, wanted: Value) -> int | None:
    """Those asked for, or those that the model says it was trained to be cut to."""
    if not isinstance(wanted, int):
        return model.truncate_dim
    all_of_them = model.get_embedding_dimension()
    if all_of_them is not None and wanted > all_of_them:
        problem = f"option dimensions: {wanted} is more than the model's {all_of_them}"
        raise EvaluationError("OPTION-RANGE", problem)
    return wanted


def _normalised(vectors: Float32) -> Float32:
    """To length 1 in float32; a zero vector stays."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return cast("Float32", vectors / np.where(norms > 0, norms, 1))
