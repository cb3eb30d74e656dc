"""Rows of a leaderboard: what is averaged, when, and which submission is shown. Numbers by hand."""

import pytest

from leaderboard.boards import entries
from leaderboard.boards.models import Entry
from leaderboard.catalog.models import Benchmark, BenchmarkDataset
from leaderboard.catalog.signals import benchmark_changed
from leaderboard.submissions.models import Track
from tests.factories import make_benchmark, make_dataset, make_revision, make_submission

from .helpers import measure, put_on_board

pytestmark = pytest.mark.django_db


@pytest.fixture
def board() -> Benchmark:
    return make_benchmark("two", [make_dataset("one"), make_dataset("other")])


def grouped_board() -> Benchmark:
    """`plain`, and the parts `android` and `gis` as one column `cqadupstack`."""
    benchmark = make_benchmark("grouped", [])
    for position, (name, group) in enumerate(
        [("plain", ""), ("android", "cqadupstack"), ("gis", "cqadupstack")]
    ):
        BenchmarkDataset.objects.create(
            benchmark=benchmark, dataset=make_dataset(name), group=group, position=position
        )
    return benchmark


def test_it_works(board: Benchmark) -> None:
    entry = put_on_board(board, {"one": 0.5, "other": 0.25})
    assert entry.cells == {"one": 0.5, "other": 0.25}
    assert entry.average == 0.375  # (0.5 + 0.25) / 2
    assert entry.is_current


def test_an_average_with_a_missing_dataset_does_not_exist(board: Benchmark) -> None:
    entry = put_on_board(board, {"one": 0.5})
    assert entry.cells == {"one": 0.5, "other": None}
    assert entry.average is None
    assert entry.metrics == {}


def test_a_submission_without_results_has_no_row(board: Benchmark) -> None:
    assert entries.refresh(make_submission(benchmark=board)) is None
    assert not Entry.objects.exists()


def test_the_parts_of_a_group_average_into_one_cell_before_anything_else() -> None:
    entry = put_on_board(grouped_board(), {"plain": 0.75, "android": 0.5, "gis": 0.25})
    assert entry.cells == {"plain": 0.75, "cqadupstack": 0.375}
    # (0.75 + (0.5 + 0.25) / 2) / 2, and not (0.75 + 0.5 + 0.25) / 3 = 0.5
    assert entry.average == 0.5625


def test_a_group_has_no_cell_until_all_its_parts_are_done() -> None:
    entry = put_on_board(grouped_board(), {"plain": 0.75, "android": 0.5})
    assert entry.cells == {"plain": 0.75, "cqadupstack": None}
    assert entry.average is None


def test_numbers_of_another_protocol_are_neither_shown_nor_averaged(board: Benchmark) -> None:
    submission = make_submission(benchmark=board)
    one, other = (member.dataset for member in board.members())
    measure(submission, one, {"nDCG@10": 0.5})
    measure(submission, other, {"nDCG@10": 0.25}, protocol="ffffffffffff")
    entry = entries.refresh(submission)
    assert entry is not None
    assert entry.cells == {"one": 0.5, "other": None}
    assert entry.average is None


def test_a_metric_is_on_the_row_only_where_every_column_has_it(board: Benchmark) -> None:
    submission = make_submission(benchmark=board)
    one, other = (member.dataset for member in board.members())
    measure(submission, one, {"nDCG@10": 0.5, "R@100": 0.5, "R@1000": 0.75})
    measure(submission, other, {"nDCG@10": 0.25, "R@100": 0.25, "R@1000": None})
    entry = entries.refresh(submission)
    assert entry is not None
    assert entry.metrics == {"nDCG@10": 0.375, "R@100": 0.375}


def test_index_sizes_add_up_and_parameters_must_agree(board: Benchmark) -> None:
    same = put_on_board(
        board, {"one": 0.5, "other": 0.25}, metrics={"index_bytes": 1000, "parameters": 22_713_216}
    )
    assert same.metrics["index_bytes"] == 2000
    assert same.metrics["parameters"] == 22_713_216
    submission = make_submission(benchmark=board)
    for member, parameters in zip(board.members(), (10, 20), strict=True):
        measure(submission, member.dataset, {"nDCG@10": 0.5, "parameters": parameters})
    differing = entries.refresh(submission)
    assert differing is not None
    assert "parameters" not in differing.metrics


def test_a_group_adds_up_its_index_sizes_too() -> None:
    entry = put_on_board(
        grouped_board(), {"plain": 0.5, "android": 0.5, "gis": 0.5}, metrics={"index_bytes": 100}
    )
    assert entry.metrics["index_bytes"] == 300


def test_of_two_complete_submissions_of_a_revision_the_newer_is_shown(board: Benchmark) -> None:
    revision = make_revision()
    first = put_on_board(board, {"one": 0.5, "other": 0.25}, revision=revision)
    second = put_on_board(board, {"one": 0.25, "other": 0.25}, revision=revision)
    assert shown(first, second) == [False, True]


def test_a_complete_submission_stays_until_the_newer_one_is_complete(board: Benchmark) -> None:
    revision = make_revision()
    first = put_on_board(board, {"one": 0.5, "other": 0.25}, revision=revision)
    second = put_on_board(board, {"one": 0.75}, revision=revision)
    assert shown(first, second) == [True, False]
    measure(second.submission, board.datasets.get(name="other"), {"nDCG@10": 0.5})
    entries.refresh(second.submission)
    assert shown(first, second) == [False, True]


def test_two_revisions_of_one_system_have_a_row_each(board: Benchmark) -> None:
    system = make_revision().system
    first = put_on_board(board, {"one": 0.5}, revision=make_revision(system))
    second = put_on_board(board, {"one": 0.5}, revision=make_revision(system))
    assert shown(first, second) == [True, True]


def test_when_a_benchmark_gains_a_dataset_its_averages_end(board: Benchmark) -> None:
    entry = put_on_board(board, {"one": 0.5, "other": 0.25})
    BenchmarkDataset.objects.create(benchmark=board, dataset=make_dataset("third"), position=2)
    benchmark_changed.send(sender=Benchmark, benchmark=board)
    entry.refresh_from_db()
    assert entry.cells == {"one": 0.5, "other": 0.25, "third": None}
    assert entry.average is None


def test_sparsity_numbers_of_a_dataset_under_another_protocol_are_left_out_as_well() -> None:
    board = make_benchmark("single", [make_dataset("only")])
    submission = make_submission(benchmark=board)
    dataset = board.datasets.get()
    measure(submission, dataset, {"nDCG@10": 0.5}, protocol="ffffffffffff")
    sparsity = submission.evaluations.get(track=Track.SPARSITY)
    sparsity.measurements.create(metric="index_bytes", value=10, protocol="eeeeeeeeeeee")
    entry = entries.refresh(submission)
    assert entry is not None
    assert entry.metrics == {}


def shown(*found: Entry) -> list[bool]:
    current = dict(Entry.objects.values_list("pk", "is_current"))
    return [current[entry.pk] for entry in found]
