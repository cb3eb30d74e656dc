"""The datasets that have a name, what is declared about them, and the benchmarks that list them.

Facts, not code: the rule for self-hits, the split, where ir_datasets has it, whether its licence keeps the
corpus to those who signed for it. Names are the short ones that a leaderboard shows as columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from evaluations.datasets.dataset import SelfHits


@dataclass(frozen=True)
class Registered:
    """`source` is what `--dataset` takes; None where the corpus is licensed: runs and vectors only."""

    name: str
    title: str
    source: str | None
    ir_datasets_id: str | None = None
    split: str = "test"
    self_hits: SelfHits = "keep"

    @property
    def licensed(self) -> bool:
        return self.source is None


def _beir(
    name: str, title: str, suffix: str = "/test", split: str = "test", self_hits: SelfHits = "keep"
) -> Registered:
    return Registered(name, title, f"beir/{name}", f"beir/{name}{suffix}", split, self_hits)


def _licensed(name: str, title: str) -> Registered:
    return Registered(name, title, source=None)


CQADUPSTACK_PARTS = (
    "android", "english", "gaming", "gis", "mathematica", "physics",
    "programmers", "stats", "tex", "unix", "webmasters", "wordpress",
)  # fmt: skip

REGISTERED: Mapping[str, Registered] = {
    dataset.name: dataset
    for dataset in (
        Registered("mini", "Mini", "mini"),
        _beir("trec-covid", "TREC-COVID", ""),
        _beir("nfcorpus", "NFCorpus"),
        _beir("nq", "Natural Questions", ""),
        _beir("hotpotqa", "HotpotQA"),
        _beir("fiqa", "FiQA-2018"),
        _beir("arguana", "ArguAna", "", self_hits="remove"),
        _beir("webis-touche2020", "Touché-2020 (v2)", "/v2"),
        _beir("dbpedia-entity", "DBPedia-Entity"),
        _beir("scidocs", "SCIDOCS", ""),
        _beir("fever", "FEVER"),
        _beir("climate-fever", "Climate-FEVER", ""),
        _beir("scifact", "SciFact"),
        _beir("quora", "Quora", self_hits="remove"),
        _beir("msmarco", "MS MARCO", "/dev", split="dev"),
        *(_beir(f"cqadupstack/{part}", f"CQADupStack {part}", "") for part in CQADUPSTACK_PARTS),
        _licensed("bioasq", "BioASQ"),
        _licensed("signal1m", "Signal-1M"),
        _licensed("trec-news", "TREC-NEWS"),
        _licensed("robust04", "Robust04"),
    )
}

_CQADUPSTACK = tuple(f"cqadupstack/{part}" for part in CQADUPSTACK_PARTS)
_BEIR_13 = (
    "trec-covid", "nfcorpus", "nq", "hotpotqa", "fiqa", "arguana", "webis-touche2020",
    "dbpedia-entity", "scidocs", "fever", "climate-fever", "scifact", "quora",
)  # fmt: skip


@dataclass(frozen=True)
class BenchmarkList:
    """An ordered list of dataset names. The parts of a `group` average into one dataset first."""

    name: str
    datasets: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]


BENCHMARKS: Mapping[str, BenchmarkList] = {
    benchmark.name: benchmark
    for benchmark in (
        BenchmarkList("mini", ("mini",), {}),
        BenchmarkList("beir-13", _BEIR_13, {}),
        BenchmarkList("beir-15", (*_BEIR_13, "cqadupstack", "msmarco"), {"cqadupstack": _CQADUPSTACK}),
        BenchmarkList(
            "beir-18",
            (*_BEIR_13, "cqadupstack", "bioasq", "signal1m", "trec-news", "robust04"),
            {"cqadupstack": _CQADUPSTACK},
        ),
    )
}


def by_source(source: str) -> Registered | None:
    """The registered dataset that `--dataset SOURCE` names, if any."""
    return next((dataset for dataset in REGISTERED.values() if dataset.source == source), None)
