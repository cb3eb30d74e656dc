"""Sparse encoders that sentence-transformers loads: SPLADE, with a query side of its own, autoencoders.

Queries go through `encode_query`, documents through `encode_document`: `encode` takes a router's document
side for both. Importing this brings torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from scipy.sparse import csr_array
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sparse_encoder.modules import (
    SparseAutoEncoder,
    SparseStaticEmbedding,
    SpladePooling,
)
from sentence_transformers.util import select_max_active_dims
from torch import nn

from evaluations.encoding.batches import Features
from evaluations.encoding.forms import SPARSE, SparseForm
from evaluations.encoding.library import (
    MODEL_KWARGS,
    LibraryModel,
    prompts,
    reads_pooler,
    require_inner_product,
    set_max_length,
)
from evaluations.systems.abilities import Side
from evaluations.systems.base import Value
from evaluations.systems.inference_free import idf_router
from evaluations.systems.loading import loading_from, require_all_stored
from evaluations.systems.model_profile import named_parameters
from evaluations.systems.sparse_folder import Form
from evaluations.systems.sparse_vectors import QueryTable, of_length_one, to_csr, words_of
from evaluations.systems.splade_pooling import take_greatest_first

_HUB: Mapping[str, Any] = {"trust_remote_code": False, "local_files_only": True}


@dataclass(frozen=True)
class SentenceSparse(LibraryModel):
    """A loaded SparseEncoder. `normalised`: vectors are compared by their angle."""

    normalised: bool

    @classmethod
    def load(cls, folder: Path, form: Form, options: Mapping[str, Value], device: str) -> "SentenceSparse":
        """Raises EvaluationError `HEAD-MISSING`, `MODEL-...`, `OPTION-...`, `IDF-WEIGHTS`."""
        with loading_from(folder) as missing:
            model = _loaded(folder, form, options["activation"] or "relu", device)
        require_all_stored(missing, unused_prefixes=() if reads_pooler(model) else ("pooler.",))
        take_greatest_first(model)
        set_max_length(model, options["max_length"])
        return cls(model.eval(), prompts(options), require_inner_product(model, folder.name))

    @property
    def form(self) -> SparseForm:
        return SPARSE

    @property
    def floats_per_token(self) -> int:
        """A language model's head gives each token a number for each term; an autoencoder does not."""
        pools = any(isinstance(each, SpladePooling) for each in self.model.modules())
        return self.floats_per_text if pools else 0

    @property
    def floats_per_text(self) -> int:
        encoder = cast("SparseEncoder", self.model)
        return int(cast("int", self.config.get("vocab_size") or encoder.get_embedding_dimension() or 1))

    def forward(self, features: Features, side: Side) -> "csr_array[Any]":
        most = cast("SparseEncoder", self.model).max_active_dims
        settings = {} if most is None else {"max_active_dims": most}
        vectors = self.run(features, side, **settings)["sentence_embedding"]
        if most is not None:
            vectors = select_max_active_dims(vectors, max_active_dims=most)
        vectors = vectors.float()
        return to_csr(of_length_one(vectors) if self.normalised else vectors)

    def side_parameters(self, side: Side) -> list[tuple[str, int]]:
        modules = [module for module in self.route(side) if not isinstance(module, SparseStaticEmbedding)]
        return named_parameters(*modules)

    def words(self, texts: Sequence[str], side: Side) -> "csr_array[Any] | None":
        """Prompts count as the text: the model reads them."""
        if any(isinstance(module, SparseAutoEncoder) for module in self.route(side)):
            return None
        read = [self.tokenise([text], side)["input_ids"].flatten().tolist() for text in texts]
        special = cast("Any", self.route(side)[0]).tokenizer.all_special_ids
        return words_of(read, special, self.floats_per_text)

    def query_table(self) -> QueryTable | None:
        """Only where the one module of queries is a table whose weights nothing changes afterwards."""
        route = self.route("query")
        first: Any = route[0]
        changed = self.normalised or cast("SparseEncoder", self.model).max_active_dims is not None
        if len(route) > 1 or changed or not isinstance(first, SparseStaticEmbedding):
            return None
        tokeniser: Any = first.tokenizer
        fast = getattr(tokeniser, "backend_tokenizer", None)
        if fast is None or tokeniser.truncation_side != "right":
            return None
        weights = first.weight.detach().float().cpu().numpy()
        return QueryTable(fast, weights, self.prompt("query") or "", tokeniser.model_max_length)


def _loaded(folder: Path, form: Form, activation: Any, device: str) -> SparseEncoder:
    if form == "modules":
        return SparseEncoder(str(folder), device=device, model_kwargs=dict(MODEL_KWARGS), **_HUB)
    documents: list[nn.Module] = [
        Transformer(
            str(folder),
            transformer_task="fill-mask",
            model_kwargs={**MODEL_KWARGS, **_HUB},
            processor_kwargs=dict(_HUB),
            config_kwargs=dict(_HUB),
        ),
        SpladePooling("max", activation),
    ]
    modules: list[nn.Module] = documents if form == "masked" else [idf_router(folder, documents)]
    return SparseEncoder(modules=modules, device=device, similarity_fn_name="dot")
