"""From texts to numbered terms: stemmed words, or the tokens of a model's own vocabulary.

A corpus goes through in batches, so that its tokens are never all there at once as Python objects.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from evaluations.datasets.texts import in_batches
from evaluations.errors import EvaluationError
from evaluations.systems.base import Value
from evaluations.systems.safety import module_folders, read_json

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BATCH = 4096  # documents
BATCH_CHARACTERS = 32 << 20
SHORTEST = 2  # characters of a word, as bm25s and scikit-learn have it
MAX_TOKENIZER_BYTES = 64 << 20
MAX_TERMS = 1 << 22  # of a vocabulary: each takes 4 bytes in every 65,536 documents' index

_LEFT_OUT = -1
_WORD = re.compile(r"\w+")
# What is ASCII, most texts of most corpora, needs no regular expression: small letters, blanks for the rest.
_ASCII = bytes(byte if chr(byte).isalnum() or byte == ord("_") else 32 for byte in range(128)).lower()
_ASCII_WORDS = _ASCII.ljust(256)


@dataclass(frozen=True)
class TokenBatch:
    """Consecutive documents: their terms one after the other, int32, and how many each has, int64."""

    terms: NDArray[np.int32]
    lengths: NDArray[np.int64]


class Terms(Protocol):
    @property
    def size(self) -> int:
        """How many terms there are; more may come while documents are read, none with queries."""

    def of_documents(self, texts: Sequence[str]) -> Iterator[TokenBatch]: ...

    def of_query(self, text: str) -> list[int]:
        """The terms that the vocabulary has, in the text's order, repeated as in the text."""


class Words:
    """Words as bm25s tokenises them: two letters or more, in lower case, no stop words, stemmed.

    They are numbered as they come.
    """

    def __init__(self, options: Mapping[str, Value]) -> None:
        stop_words = _english_stop_words() if options["stopwords"] == "english" else ()
        self._stem = _stemmer(str(options["stemmer"]))
        self._numbers: dict[str, int] = {}  # by stem
        self._words = _WordNumbers(self._number, stop_words)

    @property
    def size(self) -> int:
        return len(self._numbers)

    def of_documents(self, texts: Sequence[str]) -> Iterator[TokenBatch]:
        number = self._words.__getitem__
        for batch in in_batches(texts, BATCH, BATCH_CHARACTERS):
            split = map(_split, batch)
            numbers = [np.fromiter(map(number, words), np.int32, len(words)) for words in split]
            lengths = np.fromiter(map(len, numbers), np.int64, len(numbers))
            terms = np.concatenate(numbers)
            yield _without(terms == _LEFT_OUT, terms, lengths)

    def of_query(self, text: str) -> list[int]:
        found = map(self._known, _split(text))
        return [number for number in found if number != _LEFT_OUT]

    def _number(self, word: str) -> int:
        if len(word) < SHORTEST:
            return _LEFT_OUT
        return self._numbers.setdefault(self._stem(word), len(self._numbers))

    def _known(self, word: str) -> int:
        number = self._words.get(word)  # a stop word is there, as left out
        if number is None and len(word) >= SHORTEST:
            number = self._numbers.get(self._stem(word))
        return _LEFT_OUT if number is None else number


class _WordNumbers(dict[str, int]):
    """The term of each word; what is looked up with [] for the first time gets one."""

    def __init__(self, number: Callable[[str], int], stop_words: Sequence[str]) -> None:
        super().__init__(dict.fromkeys(stop_words, _LEFT_OUT))
        self._number = number

    def __missing__(self, word: str) -> int:
        number = self[word] = self._number(word)
        return number


class VocabularyTokens:
    """Tokens of a model's own tokeniser (`tokenizer.json`, or a BERT's `vocab.txt`), numbered as there.

    No token that marks a place, such as [CLS], and none for what the vocabulary cannot write, such as [UNK]:
    it would match whatever else cannot be written. Texts are never cut.
    """

    def __init__(self, folder: Path) -> None:
        self._tokenizer = _tokenizer(folder)
        self.size = 1 + max(self._tokenizer.get_vocab().values(), default=-1)
        if self.size > MAX_TERMS:
            raise EvaluationError("TOKENIZER", f"the vocabulary numbers its tokens beyond {MAX_TERMS:,}")
        self._special = np.zeros(self.size, dtype=bool)
        added = self._tokenizer.get_added_tokens_decoder()
        self._special[[number for number, token in added.items() if token.special]] = True
        unknown = getattr(self._tokenizer.model, "unk_token", None)
        if unknown and (number := self._tokenizer.token_to_id(unknown)) is not None:
            self._special[number] = True

    def of_documents(self, texts: Sequence[str]) -> Iterator[TokenBatch]:
        for batch in in_batches(texts, BATCH, BATCH_CHARACTERS):
            yield self._batch(batch)

    def of_query(self, text: str) -> list[int]:
        numbers: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return [number for number in numbers if not self._special[number]]

    def _batch(self, texts: list[str]) -> TokenBatch:
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        numbers = [encoding.ids for encoding in encodings]
        lengths = np.fromiter(map(len, numbers), dtype=np.int64, count=len(numbers))
        terms = np.fromiter(chain.from_iterable(numbers), dtype=np.int32, count=int(lengths.sum()))
        return _without(self._special[terms], terms, lengths)


def _split(text: str) -> list[str]:
    """Runs of letters, digits and underscores in lower case, those of one character too."""
    if text.isascii():
        return text.encode().translate(_ASCII_WORDS).decode().split()
    return _WORD.findall(text.lower())


def _without(left_out: NDArray[np.bool_], terms: NDArray[np.int32], lengths: NDArray[np.int64]) -> TokenBatch:
    if not left_out.any():
        return TokenBatch(terms, lengths)
    ends = np.cumsum(lengths)
    before = np.concatenate([[0], np.cumsum(~left_out)])
    return TokenBatch(terms[~left_out], before[ends] - before[ends - lengths])


def _english_stop_words() -> Sequence[str]:
    from bm25s.stopwords import STOPWORDS_EN

    return tuple(STOPWORDS_EN)


def _stemmer(name: str) -> Callable[[str], str]:
    if name == "none":
        return str
    import Stemmer

    stemmer = Stemmer.Stemmer(name)
    stemmer.maxCacheSize = (
        0  # each word is stemmed once: its cache would take three times as long as stemming
    )
    stem: Callable[[str], str] = stemmer.stemWord
    return stem


def _tokenizer(folder: Path) -> "Tokenizer":
    """Of a model's folder; it neither cuts nor fills up. Raises EvaluationError `TOKENIZER`."""
    path = _tokenizer_file(folder)
    if path.stat().st_size > MAX_TOKENIZER_BYTES:
        raise EvaluationError("TOKENIZER", f"{path.name} has more than {MAX_TOKENIZER_BYTES:,} bytes")
    try:
        tokenizer = _from_json(path) if path.suffix == ".json" else _bert(path)
        tokenizer.no_truncation()
        tokenizer.no_padding()
    except Exception as error:  # what the library raises has no class of its own
        problem = f"{path.name} cannot be read as a tokeniser: {str(error)[:200]}"
        raise EvaluationError("TOKENIZER", f"{problem}; save it anew with the tokenizers library") from error
    return tokenizer


def _tokenizer_file(folder: Path) -> Path:
    """Beside the model's settings; sentence-transformers keeps some in the folder of their module."""
    for name in ("tokenizer.json", "vocab.txt"):
        for inner in dict.fromkeys([folder, *module_folders(folder)]):
            if (inner / name).is_file():
                return inner / name
    problem = "the model has no tokenizer.json and no vocab.txt"
    raise EvaluationError("TOKENIZER", f"{problem}; name one with a tokeniser of the tokenizers library")


def _from_json(path: Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(path))


def _bert(path: Path) -> "Tokenizer":
    """A WordPiece vocabulary alone; its tokenizer_config.json says whether letters are made small."""
    from tokenizers import BertWordPieceTokenizer

    beside = path.parent / "tokenizer_config.json"
    settings = read_json(beside, beside.name) if beside.is_file() else {}
    small = not (isinstance(settings, dict) and settings.get("do_lower_case") is False)
    made: Tokenizer = BertWordPieceTokenizer(str(path), lowercase=small)._tokenizer
    return made
