"""BM25: published formulas, bm25s's impacts, our candidates and our order."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csc_array, vstack

from evaluations.datasets import Documents
from evaluations.progress import Progress
from evaluations.systems import KINDS, Runtime, bm25_counts, bm25_terms
from evaluations.systems.abilities import Timed
from evaluations.systems.bm25_counts import CorpusCounts, counted
from evaluations.systems.bm25_impacts import Formula
from evaluations.systems.bm25_terms import Words
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


def idf_and_saturation(method, tf, df, length, mean_length, documents, k1=1.5, b=0.75, delta=0.5):
    """Kamphuis et al. 2020, table 1, with robertson's idf at least 0: the two factors of a term's score."""
    norm = 1 - b + b * length / mean_length
    match method:
        case "lucene":
            return math.log(1 + (documents - df + 0.5) / (df + 0.5)), tf / (tf + k1 * norm)
        case "robertson":
            return max(0.0, math.log((documents - df + 0.5) / (df + 0.5))), tf / (tf + k1 * norm)
        case "atire":
            return math.log(documents / df), (k1 + 1) * tf / (tf + k1 * norm)
        case "bm25l":
            c = tf / norm
            return math.log((documents + 1) / (df + 0.5)), (k1 + 1) * (c + delta) / (k1 + c + delta)
        case "bm25+":
            return math.log((documents + 1) / df), delta + (k1 + 1) * tf / (tf + k1 * norm)


def term_score(*arguments, **parameters):
    idf, saturation = idf_and_saturation(*arguments, **parameters)
    return idf * saturation


MEAN = (3 + 2 + 2 + 0 + 1) / 5
METHODS = ["lucene", "robertson", "atire", "bm25l", "bm25+"]


def test_it_works_by_hand():
    found = retrieved(bm25(), "swept wing")
    assert list(found) == ["d1", "d3"]
    swept = math.log(1 + 4.5 / 1.5) * 2 / (2 + 1.5 * (0.25 + 0.75 * 3 / 1.6))
    wing = math.log(1 + 3.5 / 2.5) / (1 + 1.5 * (0.25 + 0.75 * 3 / 1.6))
    assert found["d1"] == pytest.approx(swept + wing, rel=1e-6)
    assert found["d3"] == pytest.approx(math.log(2.4) / (1 + 1.5 * (0.25 + 0.75 * 2 / 1.6)), rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("k1", "b"), [(1.5, 0.75), (0.9, 0.4), (2.0, 0.0), (1.2, 1.0)])
def test_each_method_has_its_published_formula(method, k1, b):
    """A word that a document lacks scores too in BM25L and BM25+: what tf = 0 gives."""
    found = retrieved(bm25(f"method={method}", f"k1={k1}", f"b={b}"), "swept wing")
    expected = {
        "d1": term_score(method, 2, 1, 3, MEAN, 5, k1, b) + term_score(method, 1, 2, 3, MEAN, 5, k1, b),
        "d3": term_score(method, 0, 1, 2, MEAN, 5, k1, b) + term_score(method, 1, 2, 2, MEAN, 5, k1, b),
    }
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("method", ["bm25l", "bm25+"])
def test_a_repeated_word_counts_twice_where_it_is_absent_too(method):
    found = retrieved(bm25(f"method={method}"), "heat heat wing")
    absent = term_score(method, 0, 1, 2, MEAN, 5)
    assert found["d3"] == pytest.approx(2 * absent + term_score(method, 1, 2, 2, MEAN, 5), rel=1e-6)


def test_a_word_that_a_query_repeats_counts_twice():
    once, twice = retrieved(bm25(), "wing"), retrieved(bm25(), "wing wing")
    assert twice["d3"] == pytest.approx(2 * once["d3"], rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
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


def test_the_index_is_the_one_that_other_sparse_systems_are_searched_in():
    """Seven postings of 2 + 4 bytes, an offset for each term and one more, two ranks a document: 4 each."""
    found = bm25().sparsity()
    assert found.metrics["index_bytes"] == 7 * (2 + 4) + (5 + 1) * 4 + 5 * 2 * 4
    assert found.details["index_engine"] == "term at a time"


TEXTS = (
    "The wings, and the layers of a wing's boundary: 3.14 re-entry", "WINGS", "", "of the and",
    "Überschall-Strömung naïve cafés", "snake_case x y zz 2024 a1", "running runs ran runner", "wing " * 40,
    "\u0130stanbul \u03c3\u03c2 \u4e2d\u6587 \U0001f600 boundary",
)  # fmt: skip


def bm25s_index(texts, method="lucene", stemmer="english", stop_words="english"):
    """bm25s as people call it."""
    import bm25s
    import Stemmer

    stem = None if stemmer == "none" else Stemmer.Stemmer(stemmer)
    options = {"stopwords": stop_words, "stemmer": stem, "return_ids": False, "show_progress": False}
    retriever = bm25s.BM25(k1=1.5, b=0.75, method=method)
    retriever.index(bm25s.tokenize(list(texts), **options), create_empty_token=False, show_progress=False)
    return retriever, lambda text: bm25s.tokenize([text], **options)[0]


@pytest.mark.parametrize(("batch", "held_bytes"), [(2, 0), (2, 300), (2, 1 << 20), (4096, 1 << 20)])
@pytest.mark.parametrize(("stemmer", "stop_words"), [("english", "english"), ("none", []), ("german", [])])
@pytest.mark.parametrize("method", METHODS)
def test_impacts_are_those_of_bm25s_to_the_last_bit(
    monkeypatch, method, stemmer, stop_words, batch, held_bytes
):
    """In memory, in a file, and first in the one and then in the other."""
    monkeypatch.setattr(bm25_terms, "BATCH", batch)
    monkeypatch.setattr(bm25_counts, "HELD_BYTES", held_bytes)
    retriever, _ = bm25s_index(TEXTS, method, stemmer, stop_words)
    options = {
        "stemmer": stemmer, "stopwords": "english" if stop_words else "none",
        "method": method, "k1": 1.5, "b": 0.75,
    }  # fmt: skip
    terms = Words(options)
    corpus = CorpusCounts()
    for tokens in terms.of_documents(TEXTS):
        corpus.add(counted(tokens))
    formula = Formula(options, corpus.document_frequency(terms.size), len(TEXTS), corpus.mean_length)
    blocks = [formula.impacts(counts) for counts in corpus.taken()]
    assert len(blocks) == math.ceil(len(TEXTS) / batch)
    ours = vstack(blocks).toarray()
    theirs = csc_array(
        tuple(retriever.scores[key] for key in ("data", "indices", "indptr")),
        shape=(len(TEXTS), len(retriever.vocab_dict)),
    ).toarray()
    assert set(terms._numbers) == set(retriever.vocab_dict)
    for word, place in terms._numbers.items():
        column = retriever.vocab_dict[word]
        assert np.array_equal(ours[:, place], theirs[:, column])
        if method in ("bm25l", "bm25+"):
            assert formula.absent[place] == retriever.nonoccurrence_array[column]


@given(
    st.lists(st.text(st.characters(max_codepoint=0x2FF)), min_size=1), st.sampled_from(["english", "none"])
)
def test_texts_are_split_as_bm25s_splits_them(texts, stop_words):
    import bm25s

    kept = "english" if stop_words == "english" else []
    expected = bm25s.tokenize(texts, stopwords=kept, return_ids=False, show_progress=False)
    terms = Words({"stemmer": "none", "stopwords": stop_words})
    (batch,) = terms.of_documents(texts)
    words = list(terms._numbers)
    ends = np.cumsum(batch.lengths)
    found = [
        [words[number] for number in batch.terms[e - n : e]] for e, n in zip(ends, batch.lengths, strict=True)
    ]
    assert found == expected
    assert [[words[number] for number in terms.of_query(text)] for text in texts] == expected


@pytest.mark.parametrize("method", METHODS)
def test_scores_are_those_of_bm25s_itself(method):
    retriever, tokenise = bm25s_index(DOCUMENTS.values(), method)
    scores = retriever.get_scores(tokenise("wings and layers")).tolist()
    system = bm25("stemmer=english", "stopwords=english", f"method={method}")
    found = retrieved(system, "wings and layers")
    sharing = {"d1", "d2", "d3"}
    expected = {name: score for name, score in zip(DOCUMENTS, scores, strict=True) if name in sharing}
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_word_of_the_query_is_found_by_its_stem_whatever_its_form_in_the_corpus():
    system = bm25("stemmer=english", documents={"d1": "wings", "d2": "heated"})
    assert set(retrieved(system, "winged")) == {"d1"}
    assert set(retrieved(system, "heating")) == {"d2"}


def test_stop_words_neither_count_nor_lengthen():
    with_stop_words = bm25("stopwords=english", documents={"d1": "the wing of the", "d2": "heat"})
    without = bm25(documents={"d1": "wing", "d2": "heat"})
    assert retrieved(with_stop_words, "the wing") == retrieved(without, "wing")
    assert retrieved(with_stop_words, "the of") == {}


@pytest.mark.parametrize("method", METHODS)
def test_queries_one_by_one_are_the_queries_of_a_batch(method):
    """The steps that latency times: tokenise, encode, search."""
    system = bm25(f"method={method}")
    assert isinstance(system, Timed)
    path = system.query_path(10, threads=1)
    query = path.encode(path.tokenise("layer wing wing unknown"))
    assert query.weights.tolist() == [2, 1]  # wing came first in the corpus
    found = path.search(query)
    assert (path.encoder, path.index) == ("none", "sparse")
    names = list(DOCUMENTS)
    assert dict(zip((names[row] for row in found.rows), found.scores.tolist(), strict=True)) == retrieved(
        system, "layer wing wing unknown"
    )


def test_building_never_holds_the_corpus_tokens_as_objects():
    """8 bytes a token of a list of Python's integers would be more than all that is held here."""
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{word}" for word in rng.zipf(1.3, 100) % 5000) for _ in range(20_000)]
    documents = Documents([f"d{place}" for place in range(len(texts))], texts)
    system = KINDS["bm25"].load(parse_system("bm25", ["stemmer=none", "stopwords=none"]), Runtime())
    bm25()  # compiles, imports
    tracemalloc.start()
    try:
        system.index(documents, Progress())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    postings = system.sparsity().details.get("postings", len(system._index.documents))
    assert peak < 16 * postings + 32e6
