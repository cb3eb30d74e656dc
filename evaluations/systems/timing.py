"""The ways of a single query through systems that encode: what the latency track times.

A query goes through the same steps as in an evaluation, alone in its batch.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from evaluations.search.found import Found
from evaluations.systems.abilities import IndexForm, PathPart, QueryEncoder, QueryPath

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


def joined_path(
    paths: Sequence[QueryPath],
    search: Callable[[str, Sequence[Any]], Found],
    *,
    own: tuple[PathPart, ...] = (),
    device: str = "cpu",
) -> QueryPath:
    """The way through several systems, one after the other. A step is that step of each.

    `search` takes the text, and what each of `paths` encoded. `own`: what it does besides its members, on
    `device`.
    """
    parts = (*(part for path in paths for part in path.each_part), *own)
    used = next((each for each in (device, *(path.device for path in paths)) if each != "cpu"), "cpu")
    precisions = [part.precision for part in parts if part.encoder == "neural"]

    def encode(tokenised: tuple[str, Sequence[Any]]) -> tuple[str, Sequence[Any]]:
        text, tokens = tokenised
        return text, [path.encode(each) for path, each in zip(paths, tokens, strict=True)]

    return QueryPath(
        tokenise=lambda text: (text, [path.tokenise(text) for path in paths]),
        encode=encode,
        search=lambda encoded: search(*encoded),
        encoder="several",
        index="several",
        engine=" + ".join(dict.fromkeys(path.engine for path in paths)),
        device=used,
        precision=precisions[0] if precisions else "fp32",
        wait=waiting_for(used),
        parts=parts,
    )


def waiting_for(device: str) -> Callable[[], None]:
    """Returns when the device has done what it was told; a processor has when a call returns."""
    if device != "cuda":
        return lambda: None
    import torch

    return torch.cuda.synchronize
