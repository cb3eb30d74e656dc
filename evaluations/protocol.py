"""What must be equal for two numbers to be comparable, and the short hash of it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from evaluations.datasets import Dataset

DEFINITIONS_VERSION = 1  # raise it when a definition below, or a metric's, changes its numbers
DEPTH = 1000
ORDER_RULE = "float32 score descending, then document id descending by UTF-8 bytes"
TEXT_TEMPLATE = "{title} {text}, stripped"
NON_ZERO_RULE = "stored zeros removed; judged queries only"
# What a latency session says of itself; the rest of its facts are of the data.
SESSION_FACTS = ("host_profile", "device", "threads", "k", "engine", "query_loop", "references")
ENCODER_MARK = "; encoder "  # ends references with an encoder among them, before the checksum of its files
LOOPED = "; looped"  # ends a query loop in which queries came more than once: a fact of the system's speed

Fact = str | int | None


@dataclass(frozen=True)
class Protocol:
    """The facts of one track. Two results are comparable exactly when their hashes are equal."""

    track: str
    facts: Mapping[str, Fact]

    @property
    def hash(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of the facts as canonical JSON."""
        canonical = json.dumps({"track": self.track, **self.facts}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Fact]:
        return {"hash": self.hash, **self.facts}


def retrieval_protocol(dataset: Dataset) -> Protocol:
    """The dataset's name is not in it: the same data under another name gives comparable numbers."""
    return Protocol("retrieval", _common(dataset))


def sparsity_protocol(dataset: Dataset, vocabulary: int | None) -> Protocol:
    """Adds the non-zero rule and V, the number of dimensions (None where it is not known)."""
    return Protocol(
        "sparsity", {**_common(dataset), "non_zero_rule": NON_ZERO_RULE, "vocabulary": vocabulary}
    )


def latency_protocol(dataset: Dataset, session: Mapping[str, Fact]) -> Protocol:
    """Adds what a session says of itself, `SESSION_FACTS`: see `Session.protocol_facts`."""
    return Protocol("latency", {**_common(dataset), "qrels": None, **session})


def retrieval_hash_of(latency: Mapping[str, Fact], qrels: str) -> str:
    """The retrieval hash of the data that a latency protocol's facts name, judged by qrels of this checksum.

    No session reads qrels, so this is how one is known to be of the data of a board's dataset.
    """
    data = {name: fact for name, fact in latency.items() if name not in {"hash", *SESSION_FACTS}}
    return Protocol("retrieval", {**data, "qrels": qrels}).hash


def _common(dataset: Dataset) -> dict[str, Fact]:
    return {
        "corpus": dataset.checksums.corpus,
        "queries": dataset.checksums.queries,
        "qrels": dataset.checksums.qrels,
        "split": dataset.split,
        "self_hits": dataset.self_hits,
        "text_template": TEXT_TEMPLATE,
        "depth": DEPTH,
        "order_rule": ORDER_RULE,
        "definitions_version": DEFINITIONS_VERSION,
    }
