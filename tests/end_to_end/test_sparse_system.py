"""A sparse system over a real vocabulary through REST and a worker, against the same made by one product."""

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


def test_its_row_is_what_one_product_and_trec_eval_give(alice: Person, folder: Path, mini: Dataset) -> None:
    submission = alice.submit(
        benchmark="mini", kind="sparse", name="Word by word", location=LOCATION,
        options={"precision": "fp32", "activation": "relu"},
    )  # fmt: skip
    alice.wait(submission, seconds=300)
    row = alice.row("mini", submission)
    scores = judged(folder, mini)
    # Vectorised logarithms differ by a last digit from one place to another, which parts what ties here.
    assert row["metrics"]["nDCG@10"] == pytest.approx(scores["ndcg_cut_10"], abs=2e-3)
    assert row["metrics"]["R@100"] == pytest.approx(scores["recall_100"], abs=2e-3)


def judged(folder: Path, dataset: Dataset) -> dict[str, float]:
    """Means over the judged queries of the scores `documents @ query`, by pytrec_eval."""
    assert dataset.documents is not None
    assert dataset.qrels is not None
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    documents = presence(tokenizer, dataset.documents.texts) * math.log(2)
    queries = presence(tokenizer, list(dataset.queries.values())) * word_sparse.weights(folder, tokenizer)
    found = (documents @ queries.T).todense().astype(np.float32).T
    run = {
        query_id: {
            document_id: float(score)
            for document_id, score in zip(dataset.documents.ids, scores, strict=True)
            if score > 0  # a document that shares no term is not found
        }
        for query_id, scores in zip(dataset.queries, found, strict=True)
    }
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
