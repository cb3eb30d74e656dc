"""Effectiveness of a run and its peers, each as its users call it. All answer {measure name: mean}."""

import gzip
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

DEPTH, CORPUS = 1000, 1_000_000
NAMES = ("nDCG@10", "R@100", "R@1000", "RR@10", "AP@1000", "P@10", "Judged@10")
RANX = {
    "ndcg@10": "nDCG@10", "recall@100": "R@100", "recall@1000": "R@1000", "mrr@10": "RR@10",
    "map@1000": "AP@1000", "precision@10": "P@10",
}  # fmt: skip


def rankings(queries: int) -> tuple[dict[str, list[str]], np.ndarray, dict[str, dict[str, int]]]:
    """Lists of 1000 documents of 1,000,000, scores that fall, and 20 judgements a query, 15 of them found."""
    generator = np.random.default_rng(0)
    names = [f"doc{i:07d}" for i in range(CORPUS)]
    lists, qrels = {}, {}
    for query in range(queries):
        rows = np.unique(generator.integers(0, CORPUS, DEPTH + 60))
        ids = [names[row] for row in generator.permutation(rows)[: DEPTH + 5].tolist()]
        found = generator.choice(DEPTH, 15, replace=False).tolist()
        grades = generator.integers(0, 3, 15).tolist()
        judged = {ids[place]: grade for place, grade in zip(found, grades, strict=True)}
        lists[f"q{query}"] = ids[:DEPTH]
        qrels[f"q{query}"] = judged | dict.fromkeys(ids[DEPTH:], 1)
    scores = np.sort(generator.random(DEPTH).astype(np.float32))[::-1].copy()
    return lists, scores, qrels


def write_run(path: Path, queries: int) -> None:
    """As a submitter's file: TREC lines, gzipped; and the same unpacked, for who cannot unpack."""
    lists, scores, _ = rankings(queries)
    with gzip.open(path, "wt", compresslevel=1) as packed, path.with_suffix("").open("w") as plain:
        for query, ids in lists.items():
            lines = "".join(
                f"{query} Q0 {name} {rank} {score:.9g} tag\n"
                for rank, (name, score) in enumerate(zip(ids, scores.tolist(), strict=True), start=1)
            )
            packed.write(lines)
            plain.write(lines)


class _Engine:
    threads = 1
    version = "this"
    index_bytes = 0

    def result(self) -> Any:
        return self._means

    def profile(self) -> dict[str, float]:
        return {}


class Ours(_Engine):
    def __init__(self, queries: int) -> None:
        from evaluations.retrieval.measures import parse_measures
        from evaluations.systems import RankedList, Run

        lists, scores, self._qrels = rankings(queries)
        self._run = Run({query: RankedList(ids, scores) for query, ids in lists.items()})
        self._measures = parse_measures(",".join(NAMES))

    def run(self) -> None:
        from evaluations.retrieval.scoring import effectiveness

        self._means = dict(effectiveness(self._run, self._qrels, self._measures).findings.metrics)


class IrMeasures(_Engine):
    """iter_calc over a dict of dicts; the means are made of its values."""

    version = f"ir-measures {version('ir-measures')}"

    def __init__(self, queries: int) -> None:
        import ir_measures

        lists, scores, self._qrels = rankings(queries)
        self._run = {query: dict(zip(ids, scores.tolist(), strict=True)) for query, ids in lists.items()}
        self._measures = [ir_measures.parse_measure(name) for name in NAMES]

    def run(self) -> None:
        import ir_measures

        sums = dict.fromkeys(NAMES, 0.0)
        for value in ir_measures.iter_calc(self._measures, self._qrels, self._run):
            sums[str(value.measure)] += value.value
        self._means = {name: total / len(self._qrels) for name, total in sums.items()}


class Ranx(_Engine):
    """Run and Qrels made of dicts, then evaluate, compiled and in parallel. It has no Judged."""

    threads = 2
    version = f"ranx {version('ranx')}"

    def __init__(self, queries: int) -> None:
        lists, scores, self._qrels = rankings(queries)
        self._run = {query: dict(zip(ids, scores.tolist(), strict=True)) for query, ids in lists.items()}

    def run(self) -> None:
        import ranx

        found = ranx.evaluate(ranx.Qrels(self._qrels), ranx.Run(self._run), list(RANX))
        self._means = {RANX[name]: float(value) for name, value in found.items()}


class _Reader(_Engine):
    """Answers with the number of documents read."""

    def __init__(self, path: Path, queries: int) -> None:
        self._path, self._queries = path, {f"q{query}" for query in range(queries)}

    def run(self) -> None:
        self._means = {"documents": self._read()}


class OursReading(_Reader):
    def _read(self) -> int:
        from evaluations.systems.trec import read_run

        return sum(len(ranked) for ranked in read_run(self._path, self._queries).lists.values())


class IrMeasuresReading(_Reader):
    version = IrMeasures.version

    def _read(self) -> int:
        import ir_measures

        run: dict[str, dict[str, float]] = {}
        for scored in ir_measures.read_trec_run(str(self._path)):
            run.setdefault(scored.query_id, {})[scored.doc_id] = scored.score
        return sum(map(len, run.values()))


class PytrecEvalReading(_Reader):
    version = f"pytrec-eval-terrier {version('pytrec-eval-terrier')}"

    def _read(self) -> int:
        import pytrec_eval

        with gzip.open(self._path, "rt") as lines:
            return sum(map(len, pytrec_eval.parse_run(lines).values()))


class RanxReading(_Reader):
    """It reads no gzip: from the unpacked file."""

    version = Ranx.version

    def _read(self) -> int:
        import ranx

        return sum(map(len, ranx.Run.from_file(str(self._path.with_suffix("")), kind="trec").run.values()))
