"""A sparse system over a real vocabulary through REST and a worker, against the same made by one product."""

import gzip
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytrec_eval
from scipy.sparse import csr_array
from transformers import AutoTokenizer

from evaluations.datasets import Dataset, load
from tests.end_to_end import word_sparse
from tests.end_to_end.rest import Person
from tests.end_to_end.services import Board

LOCATION = "tests/word-by-word"
MEASURES = {"ndcg_cut_10", "recall_100"}


@pytest.fixture(scope="module")
def mini() -> Dataset:
    return load("mini")


@pytest.fixture(scope="module")
def folder(mini: Dataset, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert mini.documents is not None
    tokenizer = models / "sentence-transformers" / "all-MiniLM-L6-v2"
    return word_sparse.write(tmp_path_factory.mktemp("own") / LOCATION, tokenizer, mini.documents.texts)


@pytest.fixture(scope="module")
def alice(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    models = {"SPARSEBOARD_MODELS": str(folder.parents[1])}
    with Board(tmp_path_factory.mktemp("sparse") / "var", models) as board:
        board.prepare()
        board.start_web()
        board.start_worker()
        board.start_reconciler()
        yield Person.with_token(board)


def test_its_run_is_one_product_and_its_row_what_trec_eval_makes_of_the_run(
    alice: Person, folder: Path, mini: Dataset
) -> None:
    submission = alice.submit(
        benchmark="mini", kind="sparse", name="Word by word", location=LOCATION,
        options={"precision": "fp32", "activation": "relu"},
    )  # fmt: skip
    run = run_of(alice.artefact(alice.wait(submission, seconds=300), "run.trec.gz"))
    expected = by_hand(folder, mini)
    assert {query: scores.keys() for query, scores in run.items()} == {
        query: scores.keys() for query, scores in expected.items()
    }
    for query, scores in expected.items():
        assert run[query] == pytest.approx(scores, rel=1e-6)
    metrics, judged = alice.row("mini", submission)["metrics"], trec_eval(run, mini)
    assert metrics["nDCG@10"] == pytest.approx(judged["ndcg_cut_10"], abs=1e-9)
    assert metrics["R@100"] == pytest.approx(judged["recall_100"], abs=1e-9)


def run_of(packed: bytes) -> dict[str, dict[str, float]]:
    """Scores by query and document."""
    run: dict[str, dict[str, float]] = {}
    for line in gzip.decompress(packed).decode().splitlines():
        query_id, _, document_id, _, score, _ = line.split()
        run.setdefault(query_id, {})[document_id] = float(score)
    return run


def by_hand(folder: Path, dataset: Dataset) -> dict[str, dict[str, float]]:
    """`documents @ query`, of the documents that share a term with it."""
    assert dataset.documents is not None
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    documents = presence(tokenizer, dataset.documents.texts) * math.log(2)
    queries = presence(tokenizer, list(dataset.queries.values())) * word_sparse.weights(folder, tokenizer)
    products = (documents @ queries.T).todense().T
    return {
        query_id: {
            document_id: float(score)
            for document_id, score in zip(dataset.documents.ids, scores, strict=True)
            if score > 0
        }
        for query_id, scores in zip(dataset.queries, products, strict=True)
    }


def trec_eval(run: dict[str, dict[str, float]], dataset: Dataset) -> dict[str, float]:
    """Means over the judged queries."""
    assert dataset.qrels is not None
    qrels = {query_id: dict(grades) for query_id, grades in dataset.qrels.items()}
    per_query = pytrec_eval.RelevanceEvaluator(qrels, MEASURES).evaluate(run)
    return {name: float(np.mean([each[name] for each in per_query.values()])) for name in MEASURES}


def presence(tokenizer: Any, texts: Sequence[str]) -> csr_array:
    """1 where a text has a token that is no special one, shape (texts, terms)."""
    special = set(tokenizer.all_special_ids)
    encoded = tokenizer(list(texts), truncation=True, max_length=word_sparse.LENGTH)["input_ids"]
    tokens = [sorted(set(ids) - special) for ids in encoded]
    rows = np.repeat(np.arange(len(tokens)), [len(each) for each in tokens])
    columns = np.concatenate([np.array(each, dtype=np.int64) for each in tokens])
    shape = (len(tokens), len(tokenizer))
    return csr_array((np.ones(len(columns)), (rows, columns)), shape=shape)
