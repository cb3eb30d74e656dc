"""Figures published elsewhere, from the real collections. Skipped by name where those are absent."""

import gzip

import pytest

from evaluations import pipeline
from evaluations.datasets import load
from evaluations.pipeline import Request
from evaluations.systems import Runtime
from evaluations.systems.parse import parse_system

pytestmark = pytest.mark.shared_data


def retrieval(system: str, dataset, out):
    request = Request(parse_system(system), out, runtime=Runtime(device="cpu"))
    return pipeline.evaluate(request, dataset).tracks["retrieval"].metrics


def test_bm25_on_scifact_is_0_686(shared_data, tmp_path):
    """bm25s with English stemming and stop words: about 0.686 (BM25S, Lù 2024)."""
    assert retrieval("bm25", load(shared_data / "scifact"), tmp_path)["nDCG@10"] == pytest.approx(
        0.686, abs=0.003
    )


@pytest.mark.parametrize(("run", "published"), [("bm25-flat", 0.5947), ("splade-pp-ed", 0.7274)])
def test_anserinis_runs_on_trec_covid_keep_their_published_figures(shared_data, tmp_path, run, published):
    path = shared_data / "runs" / f"trec-covid.{run}.trec"
    metrics = retrieval(f"run:{path}", load(shared_data / "trec-covid"), tmp_path)
    assert metrics["nDCG@10"] == pytest.approx(published, abs=1e-4)
    assert metrics["R@100"] is not None
    assert metrics["R@1000"] is None  # the runs are cut at 100


def test_a_real_run_scores_the_same_once_it_was_written_by_us(shared_data, tmp_path):
    import pytrec_eval

    path = shared_data / "runs" / "trec-covid.splade-pp-ed.trec"
    dataset = load(shared_data / "trec-covid")
    metrics = retrieval(f"run:{path}", dataset, tmp_path)
    written = gzip.decompress((tmp_path / "run.trec.gz").read_bytes()).decode()
    run: dict[str, dict[str, float]] = {}
    for line in written.splitlines():
        query, _, document, _, score, _ = line.split()
        run.setdefault(query, {})[document] = float(score)
    evaluator = pytrec_eval.RelevanceEvaluator(
        {q: dict(g) for q, g in dataset.qrels.items()}, {"ndcg_cut_10"}
    )
    values = [found["ndcg_cut_10"] for found in evaluator.evaluate(run).values()]
    assert metrics["nDCG@10"] == pytest.approx(sum(values) / len(dataset.qrels), rel=1e-12)
