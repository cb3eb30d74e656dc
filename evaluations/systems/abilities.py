"""What a system may be able to do besides what every one must: be timed, be encoded anew, be made of others.

Tracks and sweeps ask for these by name; a system has those that make sense for it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeGuard, runtime_checkable

from numpy.typing import NDArray

from evaluations.search.found import Found
from evaluations.systems.base import Run, System

Side = Literal["query", "document"]
QueryEncoder = Literal["neural", "table", "none", "given", "several"]
IndexForm = Literal["sparse", "dense", "multi-vector", "several"]
EXACT_ENGINE = "exact 1"  # evaluations/search; raise the number when its searches do other work


def _nothing() -> None:
    """What there is to wait for where a call returns when its work is done."""


@dataclass(frozen=True)
class PathPart:
    """What one system does on a query's way: see `QueryPath`. `index` None: it searches nothing."""

    encoder: QueryEncoder
    index: IndexForm | None
    precision: str = "fp32"


@dataclass(frozen=True)
class QueryPath:
    """One query's way through a system, in three steps that are timed apart. No step remembers a query.

    `tokenise` takes the text, `encode` what that gives, `search` what that gives, and finds the first k.
    `encoder`: a query goes through a model (`neural`), its tokens' weights are looked up (`table`), its
    tokens are the query (`none`), or its vector was made elsewhere and is only fetched (`given`). `index`:
    what is searched. `engine`: what searches it, with its version. `wait` returns when the device has done
    what it was told.
    `parts`: of a way through several systems, what each of them does; both of the above are `several` then,
    and `precision` is that of the first model. All models are on `device`.
    """

    tokenise: Callable[[str], Any]
    encode: Callable[[Any], Any]
    search: Callable[[Any], Found]
    encoder: QueryEncoder
    index: IndexForm
    engine: str = EXACT_ENGINE
    device: str = "cpu"
    precision: str = "fp32"
    wait: Callable[[], None] = _nothing
    parts: tuple[PathPart, ...] = ()

    @property
    def each_part(self) -> tuple[PathPart, ...]:
        return self.parts or (PathPart(self.encoder, self.index, self.precision),)

    @property
    def is_whole(self) -> bool:
        """Whether it begins with the text. Where it does not, its search alone is comparable with others'."""
        return self.encoder != "given"


@runtime_checkable
class Timed(Protocol):
    """What a system of a kind with the latency track has besides."""

    @property
    def document_ids(self) -> Sequence[str]:
        """Rows that a search finds are places in it."""

    def query_path(self, k: int, threads: int) -> QueryPath:
        """The way to the first k documents, one query at a time. To be asked for after `index`.

        `threads`: of one query's search; the libraries' own threads are for the caller to limit.
        """


@runtime_checkable
class KnowsQueries(Protocol):
    """What a timed system has besides where a query's id counts: by its vector, or a document of its id."""

    def name_queries(self, queries: Mapping[str, str]) -> None:
        """Texts by id, before `query_path`. Of several with one text, the first counts."""


@runtime_checkable
class Indexed(Protocol):
    """What a timed system tells of its index, where there is one of its own."""

    def build_index(self, threads: int) -> Sequence[NDArray[Any]]:
        """Builds the index anew of the documents' vectors, and returns all the arrays that it holds."""


@runtime_checkable
class Built(Indexed, Protocol):
    """What it tells besides where it is the one that makes the documents' vectors."""

    def encode_documents(self, texts: Sequence[str]) -> None:
        """Encodes these anew, past any cache, and lets the vectors go."""


@runtime_checkable
class ByDataset(Protocol):
    """What a system has besides where its files are those of a dataset. Called before `index`."""

    def choose(self, dataset: str, document_ids: Collection[str] | None) -> None:
        """The dataset's name, and the ids of its documents where its corpus is there."""


class TextEncoder(Protocol):
    """A loaded model with the settings of its spec: texts to vectors, in two steps that can be timed apart.

    `forward(tokenise(texts, side), side)` is what an evaluation stores of these texts: prompts, lengths,
    sides, truncation and normalisation are in it. Both are to be called for as many texts as shall be in one
    batch; neither caches.
    """

    @property
    def module(self) -> Any:
        """The `torch.nn.Module` that `forward` runs. Who changes it in place encodes with the changed one."""

    def tokenise(self, texts: Sequence[str], side: Side) -> Mapping[str, Any]:
        """What the model reads: padded tensors on the CPU, and what the library notes beside them."""

    def forward(self, features: Mapping[str, Any], side: Side) -> Any:
        """Their vectors on the CPU, in the texts' order; `features` stays as it is.

        Of dense models float32 (texts, dimensions), of sparse ones a csr_array (texts, V), of late
        interaction `TokenVectors`. Runs in inference mode, in the settings' precision, on their device.
        """


class Encoding(Protocol):
    """What a system that encodes has besides `System`, for sweeps, profiles and timings (see `encodes`).

    Row i of `document_vectors` is of `document_ids[i]`, which need not be in the corpus' order; the same for
    queries. Both are as stored: of length one where the model compares by the cosine. Documents are there
    after `index`, queries after `retrieve`.
    """

    @property
    def encoder(self) -> TextEncoder: ...

    @property
    def document_ids(self) -> Sequence[str]: ...

    @property
    def document_vectors(self) -> Any:
        """Dense: float32 (documents, dimensions), maybe mapped from a file. Late interaction: TokenVectors.

        Sparse: a csr_array (documents, V), made of the index anew at each call.
        """

    @property
    def query_ids(self) -> Sequence[str]: ...

    @property
    def query_vectors(self) -> Any: ...


def encodes(system: object) -> TypeGuard[Encoding]:
    """Whether a system is an `Encoding`: `isinstance` would make every property, and copy all vectors."""
    return hasattr(system, "encoder")


@runtime_checkable
class Composite(Protocol):
    """What a system has besides where it is made of others."""

    @property
    def members(self) -> Sequence[System]: ...

    def finish_lists(self, finish: Callable[[Run], Run]) -> None:
        """What makes a member's lists those of the member alone: self-hits out, then the cut."""
