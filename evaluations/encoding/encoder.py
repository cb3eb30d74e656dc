"""From a corpus to vectors: chunks, the cache, batches. Imports torch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Generic

import numpy as np
import torch
from numpy.typing import NDArray

from evaluations import provenance
from evaluations.encoding.batches import Features, TextModel, encoded
from evaluations.encoding.cache import Identity, VectorCache
from evaluations.encoding.chunks import Chunk, chunks
from evaluations.encoding.forms import V
from evaluations.encoding.settings import Settings
from evaluations.errors import EvaluationFailed
from evaluations.protocol import DEFINITIONS_VERSION, TEXT_TEMPLATE
from evaluations.systems.abilities import Side
from evaluations.systems.base import Runtime, SystemSpec

Advance = Callable[[int], None]

_LIBRARIES = ("torch", "transformers", "tokenizers", "sentence-transformers")  # those that make the vectors


@dataclass(frozen=True)
class Block(Generic[V]):
    """Row i of `vectors` is of the text at `places[i]` of the corpus."""

    places: NDArray[np.int64]
    vectors: V


@dataclass
class Counts:
    """Texts, equal ones once, by where their vectors came from."""

    encoded: int = 0
    cached: int = 0


@dataclass(frozen=True)
class Encoder(Generic[V]):
    """A loaded model with its settings: `base.TextEncoder`, and whole corpora through the cache.

    `identity` is everything that affects a vector besides the text and its side; None where nothing is to be
    cached.
    """

    model: TextModel[V]
    settings: Settings
    identity: Identity | None = None
    cache: VectorCache | None = None
    counts: Counts = field(default_factory=Counts)

    @classmethod
    def of(
        cls,
        model: TextModel[V],
        settings: Settings,
        spec: SystemSpec,
        files: Mapping[str, str],
        runtime: Runtime,
    ) -> "Encoder[V]":
        """`files`: checksums of the model's files, by name."""
        cache = VectorCache(runtime.cache, runtime.cache_bytes) if runtime.cache else None
        return cls(model, settings, _identity(settings, spec, files) if cache else None, cache)

    @property
    def module(self) -> torch.nn.Module:
        return self.model.module

    @property
    def device(self) -> str:
        return self.settings.device

    def modified(self, name: str) -> "Encoder[V]":
        """For a sweep that changes `module` in place: the same encoder under another name in the cache.

        `name` must say everything about the change, such as "weights pruned by magnitude, 0.5".
        """
        identity = None if self.identity is None else self.identity.modified(name)
        return replace(self, identity=identity, counts=Counts())

    def uncached(self) -> "Encoder[V]":
        """For what is encoded to be timed or looked at: nothing is read from the cache, kept, or counted."""
        return replace(self, cache=None, counts=Counts())

    def tokenise(self, texts: Sequence[str], side: Side) -> Mapping[str, Any]:
        with failures():
            return self.model.tokenise(texts, side)

    def forward(self, features: Features, side: Side) -> V:
        with failures(), self.settings.running():
            return self.model.forward(features, side)

    def blocks(
        self, texts: Sequence[str], side: Side, advance: Advance = lambda _: None
    ) -> Iterator[Block[V]]:
        """Every text once, chunk by chunk. Raises EvaluationFailed `ENCODING`."""
        for chunk in chunks(texts):
            vectors = self._chunk(chunk, side, advance)
            repeated = self.model.form.take(vectors, chunk.rows) if chunk.repeats else vectors
            yield Block(chunk.places, repeated)

    def vectors(self, texts: Sequence[str], side: Side, advance: Advance = lambda _: None) -> V:
        """All vectors in the texts' order, in memory. Raises EvaluationFailed `ENCODING`."""
        form = self.model.form
        blocks = list(self.blocks(texts or [""], side, advance if texts else lambda _: None))
        places = np.concatenate([block.places for block in blocks])
        joined = form.join([block.vectors for block in blocks])
        ordered = form.take(joined, np.argsort(places)) if (np.diff(places) < 0).any() else joined
        return ordered if texts else form.take(ordered, np.empty(0, dtype=np.int64))

    def provenance(self) -> dict[str, str | int | None]:
        counts = {"texts_encoded": self.counts.encoded, "texts_from_cache": self.counts.cached}
        return self.settings.facts() | (counts if self.cache else {})

    def _chunk(self, chunk: Chunk, side: Side, advance: Advance) -> V:
        if self.cache is None or self.identity is None:
            return self._encoded(chunk, side, advance)
        key = self.identity.key(side, chunk.checksum)
        kept = self.cache.get(key)
        if kept is not None:
            advance(len(chunk.places))
            self.counts.cached += len(chunk.texts)
            return self.model.form.restored(kept)
        vectors = self._encoded(chunk, side, advance)
        self.cache.put(key, self.model.form.arrays(vectors))
        return vectors

    def _encoded(self, chunk: Chunk, side: Side, advance: Advance) -> V:
        with failures():
            found = encoded(
                self.model, chunk.texts, side, self.settings, lambda rows: advance(chunk.count(rows))
            )
        self.counts.encoded += len(chunk.texts)
        return found


def _identity(settings: Settings, spec: SystemSpec, files: Mapping[str, str]) -> Identity:
    """Threads and the fp32 product are not in it: they move the last bits, as another processor would."""
    libraries = provenance.libraries()
    return Identity(
        {
            "definitions": DEFINITIONS_VERSION,
            "text_template": TEXT_TEMPLATE,
            "kind": spec.kind,
            "files": dict(files),
            "device": settings.device,
            "precision": settings.precision,
            "libraries": {name: libraries[name] for name in _LIBRARIES if name in libraries},
        },
        spec.options,
    )


@contextmanager
def failures() -> Iterator[None]:
    """A failure of the machine or the libraries ends the evaluation with its reason."""
    try:
        yield
    except (RuntimeError, ValueError, IndexError, MemoryError) as error:
        raise EvaluationFailed("ENCODING", f"encoding failed: {type(error).__name__}: {error}") from error
