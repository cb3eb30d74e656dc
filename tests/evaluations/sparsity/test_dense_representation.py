"""Dense vectors whose spectrum and whose small components are known."""

import numpy as np
import pytest

from evaluations.sparsity.dense_representation import dense_profile, effective_rank, evenly, near_zeros_share
from evaluations.sparsity.storage import dense_storage


def test_near_zeros_are_below_a_thousandth_of_the_root_mean_square():
    """Components 2, 2, 0.001, 0.003: the RMS is sqrt(8.00001 / 4), about 1.414; one is below 0.001414."""
    assert near_zeros_share(np.array([[2.0, 2.0], [0.001, -0.003]], dtype=np.float32)) == 1 / 4


def test_the_effective_rank_of_equal_directions_is_their_number():
    orthogonal = np.linalg.qr(np.random.default_rng(0).normal(size=(50, 8)))[0].astype(np.float32)
    assert effective_rank(orthogonal) == pytest.approx(8, rel=1e-5)


def test_the_effective_rank_of_one_direction_is_one():
    vectors = np.outer(np.arange(1, 100), [3.0, -1.0, 2.0]).astype(np.float32)
    assert effective_rank(vectors) == pytest.approx(1, abs=1e-3)


def test_the_effective_rank_is_the_exponential_of_the_singular_values_entropy():
    """Singular values 3 and 1: shares 3/4 and 1/4."""
    expected = np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert effective_rank(np.array([[3.0, 0.0], [0.0, 1.0]], dtype=np.float32)) == pytest.approx(expected)


def test_vectors_of_zeros_have_no_rank_and_a_reason():
    found = dense_profile(np.zeros((3, 4), dtype=np.float32))
    assert found.metrics == {"near_zero_components_share": None, "effective_rank": None}
    assert "zero" in found.reasons["effective_rank"]


def test_of_many_vectors_the_same_evenly_spaced_ones_are_taken():
    vectors = np.arange(1000, dtype=np.float32).reshape(-1, 1)
    assert evenly(vectors, 3).ravel().tolist() == [0, 499, 999]
    assert evenly(vectors, 1000) is vectors


def test_the_bytes_of_a_dense_index_are_its_float32_matrix():
    assert dense_storage(1000, 384).metrics == {
        "dimensions": 384,
        "bytes_per_vector": 1536,
        "index_bytes": 1_536_000,
    }
