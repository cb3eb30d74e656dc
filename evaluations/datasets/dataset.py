"""A dataset as the rest of the package sees it, wherever it came from."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

SelfHits = Literal["keep", "remove"]


@dataclass(frozen=True)
class Documents:
    """The corpus: `texts[i]` is title, space, text (stripped) of the document `ids[i]`.

    Texts of a large corpus are in a file (`texts.py`): take one, a slice or a batch of them, never all.
    """

    ids: Sequence[str]
    texts: Sequence[str]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Checksums:
    """SHA-256 of the content, not of file bytes. None: not there, or not given to this process."""

    corpus: str | None
    queries: str
    qrels: str | None


@dataclass(frozen=True)
class Dataset:
    """Corpus, judged queries and qrels of one split.

    `queries` holds the judged queries that have a text, and only those. `documents` is None where the
    corpus is absent or was not asked for, `document_ids` only where it is absent. `qrels` is None in the
    process that runs the model.
    """

    name: str
    split: str
    documents: Documents | None
    document_ids: Collection[str] | None
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]] | None
    self_hits: SelfHits
    checksums: Checksums
    warnings: tuple[str, ...] = ()

    @property
    def document_count(self) -> int | None:
        return None if self.document_ids is None else len(self.document_ids)

    def blind(self) -> "Dataset":
        """The same dataset as the process that runs a submitted model may see it: without judgements."""
        return replace(self, qrels=None, checksums=replace(self.checksums, qrels=None))
