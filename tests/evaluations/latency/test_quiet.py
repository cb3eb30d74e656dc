"""Which processors a timed process is pinned to, from files as the kernel writes them."""

import os

import pytest

from evaluations.latency import quiet


@pytest.fixture
def siblings(tmp_path):
    """Writes of each processor, from the first, which processors its core has."""

    def write(*lists: str):
        for processor, text in enumerate(lists):
            folder = tmp_path / f"cpu{processor}" / "topology"
            folder.mkdir(parents=True)
            (folder / "thread_siblings_list").write_text(f"{text}\n")
        return tmp_path

    return write


def test_of_siblings_numbered_beside_each_other_one_is_taken(siblings):
    root = siblings("0-1", "0-1", "2-3", "2-3", "4-5", "4-5", "6-7", "6-7")
    assert quiet.chosen(set(range(8)), 1, root) == (7,)
    assert quiet.chosen(set(range(8)), 2, root) == (5, 7)
    assert quiet.chosen(set(range(8)), 4, root) == (1, 3, 5, 7)


def test_of_siblings_numbered_in_two_halves_too(siblings):
    root = siblings("0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7")
    assert quiet.chosen(set(range(8)), 4, root) == (4, 5, 6, 7)
    assert quiet.chosen({0, 1, 2, 3}, 2, root) == (2, 3)


def test_only_allowed_processors_are_taken(siblings):
    root = siblings("0-1", "0-1", "2-3", "2-3")
    assert quiet.chosen({0, 1, 2}, 2, root) == (1, 2)


def test_siblings_come_in_where_there_are_no_more_cores(siblings):
    root = siblings("0-1", "0-1", "2-3", "2-3")
    assert quiet.chosen({0, 1, 2, 3}, 3, root) == (1, 2, 3)
    assert quiet.chosen({0, 1, 2, 3}, 9, root) == (0, 1, 2, 3)


def test_where_the_system_says_nothing_the_last_are_taken(tmp_path):
    assert quiet.chosen({0, 1, 2, 3}, 2, tmp_path) == (2, 3)
    assert quiet.chosen({0, 1, 2, 3}, 4, tmp_path) == (0, 1, 2, 3)


def test_a_process_is_pinned_to_those_and_gets_back_what_it_had():
    before = os.sched_getaffinity(0)
    with quiet.quiet() as still:
        assert still.cores == quiet.chosen(before, 1)
        assert os.sched_getaffinity(0) == set(still.cores)
    assert os.sched_getaffinity(0) == before
