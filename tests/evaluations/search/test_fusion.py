"""Fusing lists: values worked out by hand, and a second implementation in exact fractions."""

import math
import statistics
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluations.search.fusion import NORMALISATIONS, fuse, min_max, rank, reciprocal_rank, z_score

A = {"d1": 10.0, "d2": 6.0, "d3": 2.0}
B = {"d3": 0.9, "d1": 0.3, "d4": 0.1}
RRF = partial(reciprocal_rank, k=60.0)


def in_order(scores):
    """The ids and float32 scores of a list in the one order."""
    values = {key: np.float32(value) for key, value in scores.items()}
    ids = sorted(values, key=lambda key: (values[key], key), reverse=True)
    return ids, np.array([values[key] for key in ids], dtype=np.float32)


def fused(lists, weights, scale, depth=1000):
    ids, scores = fuse([in_order(scores) for scores in lists], weights, scale, depth)
    assert scores.dtype == np.float32
    return dict(zip(ids, scores.tolist(), strict=True))


def test_min_max_by_hand():
    """A becomes 1, 0.5, 0; B becomes 1 (d3), 0.25 (d1), 0 (d4); whom a list lacks has 0 from it."""
    found = fused([A, B], [1, 1], min_max)
    assert found == pytest.approx({"d1": 1.25, "d3": 1.0, "d2": 0.5, "d4": 0.0})
    assert list(found) == ["d1", "d3", "d2", "d4"]


def test_weights_by_hand():
    found = fused([A, B], [0.2, 0.8], min_max)
    assert found == pytest.approx({"d3": 0.8, "d1": 0.2 + 0.2, "d2": 0.1, "d4": 0.0})


def test_z_score_by_hand():
    """A: mean 6, variance 32 / 3. B: mean 13 / 30, variance 26 / 225."""
    a, b = math.sqrt(32 / 3), math.sqrt(26 / 225)
    third_of_b = (0.1 - 13 / 30) / b
    expected = {
        "d1": 4 / a + (0.3 - 13 / 30) / b,
        "d3": -4 / a + (0.9 - 13 / 30) / b,
        "d2": 0 + third_of_b,
        "d4": -4 / a + third_of_b,
    }
    found = fused([A, B], [1, 1], z_score)
    assert found == pytest.approx(expected, abs=1e-6)
    assert list(found) == ["d1", "d3", "d2", "d4"]


def test_rank_by_hand():
    found = fused([A, B], [1, 1], rank)
    assert found == pytest.approx({"d1": 1 + 0.999, "d3": 0.998 + 1, "d2": 0.999, "d4": 0.998})


def test_reciprocal_rank_by_hand():
    expected = {"d1": 1 / 61 + 1 / 62, "d3": 1 / 63 + 1 / 61, "d2": 1 / 62, "d4": 1 / 63}
    assert fused([A, B], [1, 1], RRF) == pytest.approx(expected)
    assert fused([A, B], [1, 1], partial(reciprocal_rank, k=1.0))["d1"] == pytest.approx(1 / 2 + 1 / 3)


@pytest.mark.parametrize("scale", [min_max, z_score])
def test_a_list_that_tells_nothing_apart_adds_nothing(scale):
    for silent in ({}, {"d9": 3.0}, {"d9": 2.0, "d1": 2.0, "d2": 2.0}):
        found = fused([A, silent], [1, 5], scale)
        alone = fused([A], [1], scale)
        lowest = min(alone.values())
        assert found == pytest.approx({**dict.fromkeys(silent, lowest), **alone})


def test_ranks_of_one_document_and_of_none():
    assert fused([{"d9": 3.0}, {}], [1, 1], rank) == {"d9": 1.0}
    assert fused([{"d9": 3.0}, {}], [1, 1], RRF) == pytest.approx({"d9": 1 / 61})


@pytest.mark.parametrize("scale", [*NORMALISATIONS.values(), RRF])
def test_nothing_found_by_anyone_is_an_empty_list(scale):
    assert fused([{}, {}], [1, 1], scale) == {}


def test_ties_are_decided_by_id_and_the_cut_comes_after():
    found = fused([{"a": 2.0, "b": 1.0}, {"b": 2.0, "a": 1.0}, {"c": 1.0}], [1, 1, 1], min_max, depth=2)
    assert list(found.items()) == [("b", 1.0), ("a", 1.0)]


def test_a_member_of_weight_zero_still_brings_its_documents():
    assert fused([A, B], [1, 0], min_max) == {"d1": 1.0, "d2": 0.5, "d4": 0.0, "d3": 0.0}


def test_large_and_tiny_scores_stay_finite():
    for scores in ({"a": 3e38, "b": -3e38, "c": 0.0}, {"a": 2e-45, "b": 1e-45}):
        for scale in NORMALISATIONS.values():
            assert all(math.isfinite(value) for value in fused([scores, A], [1000, 1000], scale).values())


def exactly(lists, weights, name):
    """The definitions again, document by document, in fractions; z-scores by the statistics module."""
    union = {key for scores in lists for key in scores}
    total = dict.fromkeys(union, Fraction(0))
    for scores, weight in zip(lists, weights, strict=True):
        values = {key: Fraction(float(np.float32(value))) for key, value in scores.items()}
        ordered = sorted(values, key=lambda key: (values[key], key), reverse=True)
        scaled = {}
        low, high = min(values.values(), default=0), max(values.values(), default=0)
        for place, key in enumerate(ordered, start=1):
            if name == "rank":
                scaled[key] = 1 - Fraction(place - 1, 1000)
            elif name == "rrf":
                scaled[key] = Fraction(1, 60 + place)
            elif low == high:
                scaled[key] = Fraction(0)
            elif name == "min-max":
                scaled[key] = (values[key] - low) / (high - low)
            else:
                numbers = list(values.values())
                scaled[key] = (values[key] - statistics.mean(numbers)) / Fraction(statistics.pstdev(numbers))
        absent = min(scaled.values(), default=Fraction(0)) if name in ("min-max", "z-score") else Fraction(0)
        for key in union:
            total[key] += Fraction(weight) * scaled.get(key, absent)
    return {key: float(value) for key, value in total.items()}


scores = st.dictionaries(
    st.sampled_from([f"d{number}" for number in range(12)]),
    st.one_of(st.integers(-3, 3).map(float), st.floats(-1e4, 1e4, width=32)),
    max_size=9,
)
weights = st.sampled_from([0.0, 0.3, 0.7, 1.0, 2.5])


@settings(deadline=None, max_examples=150)
@given(lists=st.lists(scores, min_size=2, max_size=4), data=st.data())
@pytest.mark.parametrize("name", [*NORMALISATIONS, "rrf"])
def test_it_equals_the_definitions_in_exact_fractions(name, lists, data):
    chosen = [data.draw(weights) for _ in lists]
    scale = RRF if name == "rrf" else NORMALISATIONS[name]
    found = fused(lists, chosen, scale)
    expected = exactly(lists, chosen, name)
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, rel=2e-7, abs=2e-7 * max(1.0, *map(abs, [*expected.values(), 0])))
    order = sorted(found, key=lambda key: (found[key], key), reverse=True)
    assert list(found) == order
