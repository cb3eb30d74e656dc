"""BM25: bm25s's scores, our candidates and our order."""

import math

import numpy as np
import pytest

from evaluations.datasets import Documents
from evaluations.progress import Progress
from evaluations.systems import KINDS, Runtime
from evaluations.systems.parse import parse_system

DOCUMENTS = {
    "d1": "swept wing swept",
    "d2": "boundary layer",
    "d3": "wing layer",
    "d4": "",
    "d5": "heat",
}


def bm25(*settings: str, documents: dict[str, str] = DOCUMENTS):
    spec = parse_system("bm25", ["stemmer=none", "stopwords=none", *settings])
    system = KINDS["bm25"].load(spec, Runtime())
    system.index(Documents(list(documents), list(documents.values())), Progress())
    return system


def retrieved(system, text: str, depth: int = 1000) -> dict[str, float]:
    ranked = system.retrieve({"q": text}, depth, Progress()).lists["q"]
    return dict(zip(ranked.document_ids, ranked.scores.tolist(), strict=True))


def lucene(tf, df, length, mean_length, documents, k1=1.5, b=0.75):
    """Kamphuis et al. 2020, table 1, Lucene (accurate)."""
    idf = math.log(1 + (documents - df + 0.5) / (df + 0.5))
    return idf * tf / (tf + k1 * (1 - b + b * length / mean_length))


def test_it_works_by_hand():
    mean = (3 + 2 + 2 + 0 + 1) / 5
    found = retrieved(bm25(), "swept wing")
    assert list(found) == ["d1", "d3"]
    assert found["d1"] == pytest.approx(lucene(2, 1, 3, mean, 5) + lucene(1, 2, 3, mean, 5), rel=1e-6)
    assert found["d3"] == pytest.approx(lucene(1, 2, 2, mean, 5), rel=1e-6)


def test_a_word_that_a_query_repeats_counts_twice():
    once, twice = retrieved(bm25(), "wing"), retrieved(bm25(), "wing wing")
    assert twice["d3"] == pytest.approx(2 * once["d3"], rel=1e-6)


@pytest.mark.parametrize("method", ["lucene", "robertson", "atire", "bm25l", "bm25+"])
def test_only_documents_that_share_a_term_are_returned(method):
    """BM25L and BM25+ give the others a score above zero too."""
    assert set(retrieved(bm25(f"method={method}"), "heat")) == {"d5"}


@pytest.mark.parametrize("query", ["", "unknown words", "!?"])
def test_a_query_that_shares_nothing_finds_nothing(query):
    assert retrieved(bm25(), query) == {}


def test_a_term_in_every_document_has_no_weight_in_atire_and_makes_no_candidate():
    system = bm25("method=atire", documents={"d1": "wing", "d2": "wing heat"})
    assert retrieved(system, "wing") == {}
    assert system.sparsity().metrics["document_active_dims_mean"] == 1 / 2


def test_ties_at_the_cut_go_to_the_last_ids():
    system = bm25(documents={"a": "wing", "c": "wing", "b": "wing", "x": "heat"})
    assert list(retrieved(system, "wing", depth=2)) == ["c", "b"]


def test_the_order_of_the_corpus_does_not_matter():
    turned = dict(reversed(DOCUMENTS.items()))
    assert retrieved(bm25(documents=turned), "wing layer heat") == retrieved(bm25(), "wing layer heat")


def test_a_corpus_without_a_single_word_is_searched_and_found_empty():
    system = bm25(documents={"d1": "", "d2": "!"})
    assert retrieved(system, "wing") == {}
    found = system.sparsity()
    assert found.metrics["flops"] is None
    assert set(found.reasons) >= {"flops", "document_active_dims_mean"}


def test_sparsity_counts_distinct_terms_of_the_judged_queries():
    system = bm25()
    system.retrieve({"q1": "wing wing layer", "q2": "unknown"}, 10, Progress())
    found = system.sparsity()
    assert found.details["vocabulary"] == 5
    assert found.metrics["query_active_dims_mean"] == 2 / 2
    assert found.metrics["document_active_dims_mean"] == (2 + 2 + 2 + 0 + 1) / 5
    assert found.metrics["postings_per_query_mean"] == (2 + 2) / 2
    assert found.metrics["postings_per_query_mean"] == pytest.approx(5 * found.metrics["flops"])
    assert found.metrics["parameters"] == 0


def test_the_index_is_as_large_as_what_bm25s_saves(tmp_path):
    system = bm25()
    system._engine.save(tmp_path, show_progress=False)
    arrays = sum(np.load(path).nbytes for path in tmp_path.glob("*.npy"))
    assert 0 < system.sparsity().metrics["index_bytes"] - arrays < 200  # the vocabulary of five words


def test_scores_are_those_of_bm25s_itself():
    import bm25s
    import Stemmer

    retriever = bm25s.BM25(k1=1.5, b=0.75, method="lucene")
    stemmer = Stemmer.Stemmer("english")
    texts = list(DOCUMENTS.values())
    retriever.index(bm25s.tokenize(texts, stemmer=stemmer, show_progress=False), show_progress=False)
    tokens = bm25s.tokenize(["wings and layers"], stemmer=stemmer, return_ids=False, show_progress=False)[0]
    expected = dict(zip(DOCUMENTS, retriever.get_scores(tokens).tolist(), strict=True))
    found = retrieved(bm25("stemmer=english", "stopwords=english"), "wings and layers")
    assert found == {document: score for document, score in expected.items() if score > 0}
    assert len(found) == 3
