"""The ways of a single query through systems that encode: what the latency track times.

A query goes through the same steps as in an evaluation, alone in its batch.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from evaluations.search.found import Found
from evaluations.systems.abilities import IndexForm, QueryEncoder, QueryPath

if TYPE_CHECKING:
    from evaluations.encoding.encoder import Encoder


def encoded_path(
    encoder: "Encoder[Any]", search: Callable[[Any], Found], *, by: QueryEncoder, index: IndexForm
) -> QueryPath:
    """`search` takes one query's vectors in the encoder's form."""
    return QueryPath(
        tokenise=lambda text: encoder.tokenise([text], "query"),
        encode=lambda features: encoder.forward(features, "query"),
        search=search,
        encoder=by,
        index=index,
        device=encoder.device,
        precision=encoder.settings.precision,
        wait=waiting_for(encoder.device),
    )


def waiting_for(device: str) -> Callable[[], None]:
    """Returns when the device has done what it was told; a processor has when a call returns."""
    if device != "cuda":
        return lambda: None
    import torch

    return torch.cuda.synchronize
