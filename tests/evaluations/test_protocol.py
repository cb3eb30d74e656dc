"""The protocol hash: equal where numbers are comparable, different where they are not."""

import dataclasses

import pytest

from evaluations.datasets import load
from evaluations.protocol import (
    SESSION_FACTS,
    Protocol,
    latency_protocol,
    retrieval_hash_of,
    retrieval_protocol,
    sparsity_protocol,
)


@pytest.fixture
def dataset(write_dataset):
    return load(write_dataset())


def test_it_is_twelve_hexadecimal_digits_and_stable():
    """printf '{"depth":1000,"track":"retrieval"}' | sha256sum"""
    assert Protocol("retrieval", {"depth": 1000}).hash == "daa5bdc11abd"


@pytest.mark.parametrize("variant", [{"zipped": True}, {"line_end": "\r\n"}, {"header": False}])
def test_compression_and_line_ends_do_not_change_it(write_dataset, dataset, variant):
    assert (
        retrieval_protocol(load(write_dataset("other", **variant))).hash == retrieval_protocol(dataset).hash
    )


def test_the_name_of_a_dataset_does_not_change_it(write_dataset, dataset):
    other = load(write_dataset("other", declaration={"name": "renamed"}))
    assert retrieval_protocol(other).hash == retrieval_protocol(dataset).hash


def test_each_of_its_facts_changes_it(write_dataset, dataset):
    hashes = {
        retrieval_protocol(found).hash
        for found in (
            dataset,
            load(write_dataset("grade", qrels=(("q1", "d1", 2), ("q2", "d2", 1), ("q2", "d3", 2)))),
            load(write_dataset("query", queries=(("q1", "swept wing"), ("q2", "boundary layer heat")))),
            load(write_dataset("no-corpus", documents=None)),
            load(write_dataset("split", split="dev"), split="dev"),
            dataclasses.replace(dataset, self_hits="remove"),
            dataset.blind(),
        )
    }
    assert len(hashes) == 7


def test_a_query_that_is_not_judged_does_not_change_it(write_dataset, dataset):
    more = load(
        write_dataset("more", queries=(("q1", "swept wing lift"), ("q2", "boundary layer heat"), ("q8", "x")))
    )
    assert retrieval_protocol(more).hash == retrieval_protocol(dataset).hash


def test_sparsity_adds_the_vocabulary(dataset):
    hashes = {sparsity_protocol(dataset, vocabulary).hash for vocabulary in (None, 100, 101)}
    assert len({*hashes, retrieval_protocol(dataset).hash}) == 4


def test_it_shows_its_facts_beside_its_hash(dataset):
    shown = retrieval_protocol(dataset).to_dict()
    assert shown["hash"] == retrieval_protocol(dataset).hash
    assert shown["depth"] == 1000
    assert shown["qrels"] == dataset.checksums.qrels


def test_a_latency_protocol_tells_the_retrieval_hash_of_its_data(write_dataset, dataset):
    """Whatever the session, and with the qrels that it does not read."""
    for device in ("cpu", "cuda"):
        session = dict.fromkeys(SESSION_FACTS, 1) | {"device": device}
        facts = latency_protocol(dataset, session).to_dict()
        assert retrieval_hash_of(facts, dataset.checksums.qrels) == retrieval_protocol(dataset).hash
        assert retrieval_hash_of(facts, "others") != retrieval_protocol(dataset).hash
        changed = facts | {"definitions_version": 99}
        assert retrieval_hash_of(changed, dataset.checksums.qrels) != retrieval_protocol(dataset).hash
