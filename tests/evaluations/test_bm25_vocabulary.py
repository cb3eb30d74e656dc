"""BM25 over the tokens of a model's own vocabulary."""

import json
import math
import re
import unicodedata
from collections import Counter

import numpy as np
import pytest

from evaluations import pipeline
from evaluations.datasets import Documents, load
from evaluations.errors import EvaluationError
from evaluations.pipeline import Request
from evaluations.progress import Progress
from evaluations.systems import KINDS, Runtime
from evaluations.systems.bm25_terms import VocabularyTokens
from evaluations.systems.parse import parse_system

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "wing", "##s", "heat", "the", ",")


@pytest.fixture
def vocabulary(tmp_path):
    """A folder with a WordPiece vocabulary and nothing else."""
    (tmp_path / "vocab.txt").write_text("".join(f"{word}\n" for word in WORDS))
    return tmp_path


def tokens(folder, text):
    terms = VocabularyTokens(folder)
    (batch,) = terms.of_documents([text])
    assert batch.terms.tolist() == terms.of_query(text)
    assert batch.lengths.tolist() == [len(batch.terms)]
    return [WORDS[number] for number in batch.terms]


def word_pieces(text, vocabulary):
    """WordPiece by its definition: accents off, the longest piece first, no token for unknown words."""
    found = []
    plain = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))
    for word in re.findall(r"[^\W_]+|[^\w\s]|_", plain):
        pieces, start = [], 0
        while start < len(word):
            ends = range(len(word), start, -1)
            prefix = "##" if start else ""
            end = next((end for end in ends if prefix + word[start:end] in vocabulary), None)
            if end is None:
                pieces = []
                break
            pieces.append(prefix + word[start:end])
            start = end
        found += pieces
    return found


def lucene_scores(query, corpus, k1=1.5, b=0.75):
    """{document: score} of those that share a token, by the formula, token after token."""
    mean = sum(map(len, corpus.values())) / len(corpus)
    frequency = Counter(token for document in corpus.values() for token in set(document))
    scores = {}
    for name, document in corpus.items():
        counts = Counter(document)
        for token in query:
            if tf := counts[token]:
                idf = math.log(1 + (len(corpus) - frequency[token] + 0.5) / (frequency[token] + 0.5))
                norm = k1 * (1 - b + b * len(document) / mean)
                scores[name] = scores.get(name, 0.0) + idf * tf / (tf + norm)
    return scores


def test_minilms_vocabulary_on_mini_gives_the_scores_of_a_bm25_written_here(minilm):
    dataset = load("mini")
    vocabulary = frozenset((minilm / "vocab.txt").read_text(encoding="utf-8").split("\n"))
    texts = dict(zip(dataset.documents.ids, dataset.documents.texts, strict=True))
    corpus = {name: word_pieces(text, vocabulary) for name, text in texts.items()}
    system = KINDS["bm25"].load(parse_system(f"bm25:{minilm}"), Runtime())
    system.index(dataset.documents, Progress())
    run = system.retrieve(dataset.queries, 1000, Progress())
    for name, text in dataset.queries.items():
        found = run.lists[name]
        scores = dict(zip(found.document_ids, found.scores.tolist(), strict=True))
        assert scores == pytest.approx(lucene_scores(word_pieces(text, vocabulary), corpus), rel=1e-6)
    found = system.sparsity()
    assert found.details["vocabulary"] == 30_522
    active = sum(len(set(document)) for document in corpus.values()) / len(corpus)
    assert found.metrics["document_active_dims_mean"] == pytest.approx(active)


def test_the_report_names_the_files_and_the_revision_of_the_vocabulary(minilm, tmp_path):
    request = Request(parse_system(f"bm25:{minilm}"), tmp_path)
    report = pipeline.evaluate(request, load("mini"))
    assert set(report.system["files"]) >= {"tokenizer.json", "config.json"}
    assert report.system["revision"].startswith("sha256:")
    assert report.tracks["retrieval"].metrics["nDCG@10"] > 0.5


def test_a_vocabulary_alone_is_read_as_berts(vocabulary):
    assert tokens(vocabulary, "The WINGS, heat") == ["the", "wing", "##s", ",", "heat"]


def test_capitals_stay_where_the_vocabulary_says_so(vocabulary):
    (vocabulary / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert tokens(vocabulary, "Wing wing") == ["wing"]


def test_unknown_and_special_tokens_are_no_terms(vocabulary):
    assert tokens(vocabulary, "[CLS] zeppelin [SEP] wing [UNK] [PAD]") == ["wing"]


def test_texts_are_never_cut_or_filled_up(minilm):
    """Its tokenizer.json cuts and fills up to 128 tokens."""
    terms = VocabularyTokens(minilm)
    (batch,) = terms.of_documents(["wing " * 500, "wing", ""])
    assert batch.lengths.tolist() == [500, 1, 0]
    assert len(terms.of_query("wing " * 500)) == 500
    assert len(set(batch.terms.tolist())) == 1


def test_its_tokeniser_is_found_in_the_folder_of_a_module(vocabulary):
    (vocabulary / "inner").mkdir()
    (vocabulary / "vocab.txt").rename(vocabulary / "inner" / "vocab.txt")
    (vocabulary / "modules.json").write_text(json.dumps([{"path": "inner", "type": "x"}]))
    assert tokens(vocabulary, "heat") == ["heat"]


def test_documents_without_a_token_are_not_found(vocabulary):
    system = KINDS["bm25"].load(parse_system(f"bm25:{vocabulary}"), Runtime())
    system.index(Documents(["d1", "d2", "d3"], ["wing", "", "zeppelin"]), Progress())
    run = system.retrieve({"q": "wing zeppelin"}, 10, Progress())
    assert run.lists["q"].document_ids == ["d1"]
    assert np.isfinite(run.lists["q"].scores).all()


@pytest.mark.parametrize("content", ["", "{}", "nonsense", '{"model": {"type": "WordPiece"}}', "[" * 10**5])
def test_a_tokeniser_that_cannot_be_read_is_refused(tmp_path, content):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(EvaluationError, match=r"TOKENIZER\]: tokenizer.json cannot be read as a tokeniser"):
        VocabularyTokens(tmp_path)


def test_a_model_without_a_tokeniser_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EvaluationError, match=r"TOKENIZER\]: the model has no tokenizer.json"):
        KINDS["bm25"].load(parse_system(f"bm25:{tmp_path}"), Runtime())


def test_a_vocabulary_without_bounds_is_refused(tmp_path):
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": None, "post_processor": None, "decoder": None,
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "wing": 2**31},
        },
    }  # fmt: skip
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(EvaluationError, match=r"TOKENIZER\]: the vocabulary numbers its tokens beyond"):
        VocabularyTokens(tmp_path)


def test_a_file_without_bounds_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("evaluations.systems.bm25_terms.MAX_TOKENIZER_BYTES", 10)
    (tmp_path / "tokenizer.json").write_text("{" * 11)
    with pytest.raises(EvaluationError, match=r"TOKENIZER\]: tokenizer.json has more than 10 bytes"):
        VocabularyTokens(tmp_path)
