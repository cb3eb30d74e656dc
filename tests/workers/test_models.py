"""Which systems have a model to fetch, and where the evaluator then finds it."""

import json
from types import SimpleNamespace

import pytest

from tests.factories import make_revision
from workers import runner
from workers.prepare import FETCHED


@pytest.fixture
def job(pets, tmp_path):
    """Of a revision with the given fields."""

    def make(**fields) -> SimpleNamespace:
        return SimpleNamespace(
            revision=make_revision(**fields),
            dataset=pets,
            folder=tmp_path,
            blind=tmp_path / "blind",
            checkpoints={},
            is_latency=False,
        )

    return make


@pytest.mark.django_db
def test_bm25_over_words_has_no_model(job, tmp_path):
    of_words = job(kind="bm25", options={})
    assert [part["model"] for part in runner.wanted(of_words)["parts"]] == [None]
    (tmp_path / FETCHED).write_text(json.dumps({"folders": [None]}))
    system = runner.system(of_words)
    assert (system["location"], system["revision"]) == (None, None)


@pytest.mark.django_db
def test_the_model_whose_vocabulary_bm25_takes_is_fetched(job, tmp_path):
    of_tokens = job(kind="bm25", location="org/name", version="c0ffee", options={"stemmer": "none"})
    (part,) = runner.wanted(of_tokens)["parts"]
    found = part["model"]
    assert (found["location"], found["revision"]) == ("org/name", "c0ffee")
    (tmp_path / FETCHED).write_text(json.dumps({"folders": ["/models/org/name"]}))
    assert runner.system(of_tokens)["location"] == "/models/org/name"
