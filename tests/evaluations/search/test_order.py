"""The one order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evaluations.search.order import id_ranks, top_k


def test_ids_are_ranked_by_their_utf_8_bytes():
    ids = ["z", "é", "ｚ", "𝄞", "a", "10", "9"]
    ranks = id_ranks(ids)
    assert sorted(ids, key=lambda each: ranks[ids.index(each)]) == sorted(ids, key=str.encode)


@given(st.lists(st.text(max_size=6), unique=True, max_size=12))
def test_the_order_of_strings_is_the_order_of_their_bytes(ids):
    ids = [each for each in ids if each.isprintable()]
    assert [ids[i] for i in np.argsort(id_ranks(ids))] == sorted(ids, key=str.encode)


@given(st.lists(st.integers(-3, 3), max_size=40), st.integers(0, 45))
def test_top_k_equals_a_plain_sort_with_many_ties(values, k):
    scores = np.array(values, dtype=np.float32)
    ids = [f"d{i * 7919 % 1000}" for i in range(len(values))]
    expected = sorted(range(len(values)), key=lambda i: (scores[i], ids[i]), reverse=True)[:k]
    assert top_k(scores, id_ranks(ids), k).tolist() == expected


def test_the_cut_keeps_the_tied_documents_with_the_last_ids():
    assert top_k(np.zeros(4, dtype=np.float32), id_ranks(["b", "d", "a", "c"]), 2).tolist() == [1, 3]
