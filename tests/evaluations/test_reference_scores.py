"""The stored scores against the libraries alone: their own search, and pytrec_eval's nDCG."""

import bm25s
import numpy as np
import pytest
import pytrec_eval
import Stemmer

from evaluations.datasets import load
from evaluations.reference_scores import REFERENCE_SCORES


@pytest.fixture(scope="module")
def mini():
    return load("mini")


def stored(prefix: str):
    [found] = [reference for reference in REFERENCE_SCORES if reference.system.startswith(prefix)]
    return found


def ndcg_at_10(dataset, scores: np.ndarray) -> float:
    """Of scores (queries, documents), 0 for those that are not found; over all judged queries."""
    run = {
        query: {dataset.documents.ids[i]: float(row[i]) for i in np.flatnonzero(row)}
        for query, row in zip(dataset.queries, scores, strict=True)
    }
    qrels = {query: dict(grades) for query, grades in dataset.qrels.items()}
    values = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(run)
    return sum(value["ndcg_cut_10"] for value in values.values()) / len(qrels)


def test_bm25_on_mini_as_bm25s_alone_computes_it(mini):
    settings = {"stopwords": "english", "stemmer": Stemmer.Stemmer("english"), "show_progress": False}
    engine = bm25s.BM25()
    engine.index(bm25s.tokenize(list(mini.documents.texts), **settings), show_progress=False)
    tokens = bm25s.tokenize(list(mini.queries.values()), return_ids=False, **settings)
    scores = np.array(
        [engine.get_scores(query) if query else np.zeros(len(mini.documents)) for query in tokens]
    )
    reference = stored("bm25")
    assert ndcg_at_10(mini, scores) == pytest.approx(reference.expected, abs=reference.tolerance)


def test_all_minilm_on_mini_as_sentence_transformers_alone_computes_it(mini, minilm):
    import sentence_transformers

    model = sentence_transformers.SentenceTransformer(str(minilm), device="cpu", local_files_only=True)
    queries = model.encode_query(list(mini.queries.values()))
    scores = queries @ model.encode_document(list(mini.documents.texts)).T
    reference = stored("dense:")
    assert ndcg_at_10(mini, scores) == pytest.approx(reference.expected, abs=reference.tolerance)
