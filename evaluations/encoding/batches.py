"""Batches by a budget of tokens. Each text is tokenised once; a batch is padded to its own longest text.

The texts go in sorted by tokens, longest first: batches pad little, and one too large for the memory fails
at once. On a processor several batches run at once, each on a thread of its own: within one, threads would
wait for each other after every product.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from evaluations.encoding.forms import Form, V
from evaluations.encoding.settings import Settings
from evaluations.systems.abilities import Side

Features = Mapping[str, Any]

LEAST_TOKENS = 256
GROUP = 256  # texts tokenised at once
OUTPUT_BYTES = 1 << 29  # of a batch: a language model's head gives every token a number for every term
_FLOAT_BYTES = 4


class TextModel(Protocol[V]):
    """A loaded model, from texts (or pairs of them) to vectors in its form. See `base.TextEncoder`.

    `floats_per_token` and `floats_per_text`: what it computes beyond its hidden states, which bounds a batch.
    """

    @property
    def form(self) -> Form[V]: ...

    @property
    def module(self) -> torch.nn.Module: ...

    @property
    def floats_per_token(self) -> int: ...

    @property
    def floats_per_text(self) -> int: ...

    def tokenise(self, texts: Sequence[Any], side: Side) -> dict[str, Any]: ...

    def forward(self, features: Features, side: Side) -> V: ...


@dataclass(frozen=True)
class Budget:
    """Tokens of a batch, padding included, and texts. One text is always taken, however long."""

    tokens: int
    texts: int

    @classmethod
    def of(cls, model: TextModel[Any], batch_tokens: int, lanes: int) -> "Budget":
        numbers = OUTPUT_BYTES // _FLOAT_BYTES // lanes
        by_output = numbers // max(1, model.floats_per_token)
        return cls(max(1, min(batch_tokens, by_output)), max(1, numbers // max(1, model.floats_per_text)))

    def cut(self, lengths: NDArray[np.int64], lanes: int) -> Iterator[tuple[int, int]]:
        """First and last of each batch, of descending lengths; smaller where few would leave lanes idle."""
        tokens = min(self.tokens, max(LEAST_TOKENS, int(lengths.sum()) // lanes))
        start = 0
        while start < len(lengths):
            fitting = tokens // max(1, int(lengths[start]))
            end = start + max(1, min(fitting, self.texts))
            yield start, min(end, len(lengths))
            start = end


Batch = tuple[NDArray[np.int64], Features]


def encoded(
    model: TextModel[V],
    texts: Sequence[Any],
    side: Side,
    settings: Settings,
    advance: Callable[[Sequence[int]], None],
) -> V:
    """The vectors of the texts in their order. `advance` is told the places of those just done.

    The texts may be pairs, where the model's `tokenise` takes pairs.
    """
    lanes = _lanes(model.module, settings)
    batches = _batches(model, texts, side, Budget.of(model, settings.batch_tokens, lanes), lanes)
    parts: list[V] = []
    order: list[NDArray[np.int64]] = []
    for places, vectors in _forward(model, side, batches, settings, lanes):
        parts.append(vectors)
        order.append(places)
        advance(places.tolist())
    back = np.argsort(np.concatenate(order))
    return model.form.take(model.form.join(parts), back)


def _lanes(module: torch.nn.Module, settings: Settings) -> int:
    """Batches at once on a processor, each on one thread, which never waits for another within a layer.

    One where somebody listens to the modules: hooks need not expect several threads.
    """
    if settings.device != "cpu" or any(
        each._forward_hooks or each._forward_pre_hooks for each in module.modules()
    ):
        return 1
    return settings.threads


def _forward(
    model: TextModel[V], side: Side, batches: Iterable[Batch], settings: Settings, lanes: int
) -> Iterator[tuple[NDArray[np.int64], V]]:
    def forward(batch: Batch) -> tuple[NDArray[np.int64], V]:
        places, features = batch
        with settings.running():  # in the thread that runs it: gradients and precision are a thread's own
            return places, model.forward(features, side)

    if lanes == 1:
        yield from map(forward, batches)
        return
    with settings.one_thread_each(), ThreadPoolExecutor(lanes, thread_name_prefix="encoding") as pool:
        waiting: deque[Future[tuple[NDArray[np.int64], V]]] = deque()
        for batch in batches:
            waiting.append(pool.submit(forward, batch))
            if len(waiting) > 2 * lanes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _batches(
    model: TextModel[Any], texts: Sequence[Any], side: Side, budget: Budget, lanes: int
) -> Iterator[Batch]:
    by_length = np.argsort([-_characters(text) for text in texts], kind="stable")
    groups = [by_length[start : start + GROUP] for start in range(0, len(texts), GROUP)]
    first = model.tokenise([texts[place] for place in groups[0]], side)
    if not Tokens.fits(first, len(groups[0])):  # without padding, such as the offsets of a static embedding
        yield groups[0], first
        for group in groups[1:]:
            yield group, model.tokenise([texts[place] for place in group], side)
        return
    tokens = [Tokens(first)]
    tokens += [Tokens(model.tokenise([texts[place] for place in group], side)) for group in groups[1:]]
    lengths = np.concatenate([each.lengths for each in tokens])
    order = np.argsort(-lengths, kind="stable")
    for start, end in budget.cut(lengths[order], lanes):
        chosen = order[start:end]
        yield by_length[chosen], _padded(tokens, chosen)


class Tokens:
    """What the tokeniser gave for a group of texts, without the padding."""

    def __init__(self, features: Features) -> None:
        kept = _kept(features)
        width = kept.shape[1]
        self.rest = {name: value for name, value in features.items() if not _is_matrix(value)}
        self.starts = _first(kept)
        self.lengths = np.where(kept.any(axis=1), width - _first(kept[:, ::-1]) - self.starts, 0)
        self.on_the_left = bool((self.starts > 0).any())
        self.matrices = {name: value for name, value in features.items() if _is_matrix(value)}
        self.padding = {name: _padding(value, kept) for name, value in self.matrices.items()}

    @staticmethod
    def fits(features: Features, texts: int) -> bool:
        """Whether each tensor is a matrix (texts, tokens), so that rows can be put together anew."""
        tensors = [value for value in features.values() if isinstance(value, torch.Tensor)]
        mask = features.get("attention_mask")
        return mask is not None and all(each.shape == mask.shape and len(each) == texts for each in tensors)

    def row(self, name: str, row: int) -> torch.Tensor:
        start = int(self.starts[row])
        found: torch.Tensor = self.matrices[name][row, start : start + int(self.lengths[row])]
        return found


def _padded(tokens: list[Tokens], chosen: NDArray[np.int64]) -> Features:
    """Rows of any group, put together and padded to the longest of them on the tokeniser's own side."""
    rows = [divmod(int(place), GROUP) for place in chosen]
    width = max(1, *(int(tokens[group].lengths[row]) for group, row in rows))
    left = any(each.on_the_left for each in tokens)
    found: dict[str, Any] = dict(tokens[0].rest)
    for name, matrix in tokens[0].matrices.items():
        target = torch.full((len(rows), width), _any_padding(tokens, name), dtype=matrix.dtype)
        for place, (group, row) in enumerate(rows):
            content = tokens[group].row(name, row)
            start = width - len(content) if left else 0
            target[place, start : start + len(content)] = content
        found[name] = target
    return found


def _kept(features: Features) -> NDArray[np.bool_]:
    """The places that are no padding: those attended to, and those that a query was filled up with."""
    kept: NDArray[np.bool_] = features["attention_mask"].numpy() != 0
    filled = features.get("query_expansion_positions")
    return kept if filled is None else kept | filled.numpy()


def _first(kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Place of each row's first True; 0 where it has none."""
    found: NDArray[np.int64] = kept.argmax(axis=1)
    return found


def _padding(matrix: torch.Tensor, kept: NDArray[np.bool_]) -> Any:
    """What the tokeniser pads with; None where this group has no padding."""
    padding = matrix[torch.from_numpy(~kept)]
    return padding[0].item() if len(padding) else None


def _any_padding(tokens: list[Tokens], name: str) -> Any:
    found = (each.padding[name] for each in tokens if each.padding[name] is not None)
    return next(found, 0)


def _is_matrix(value: object) -> bool:
    return isinstance(value, torch.Tensor)


def _characters(text: Any) -> int:
    return len(text) if isinstance(text, str) else sum(map(len, text))
