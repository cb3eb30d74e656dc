"""Reading rows: ranks, ties, order, reasons, and how many queries it takes."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from leaderboard.boards import queries
from leaderboard.boards.metrics import describe
from leaderboard.boards.rows import Row, best, metric_names, sort
from leaderboard.catalog.models import Benchmark
from leaderboard.submissions.models import State
from tests.factories import make_benchmark, make_dataset, make_submission

from .helpers import measure, put_on_board

pytestmark = pytest.mark.django_db


@pytest.fixture
def benchmark() -> Benchmark:
    return make_benchmark("two", [make_dataset("one"), make_dataset("other")])


def read(benchmark: Benchmark, order: str = "-average") -> list[Row]:
    return queries.rows(queries.board(benchmark.name), queries.entries(benchmark), order)


def names(rows: list[Row]) -> list[str]:
    return [row.system for row in rows]


def test_it_works(benchmark: Benchmark) -> None:
    put_on_board(benchmark, {"one": 0.5, "other": 0.25}, name="A", family="dense", kind="dense")
    (row,) = read(benchmark)
    assert (row.rank, row.system, row.family, row.kind, row.average) == (1, "A", "dense", "dense", 0.375)
    assert (row.done, row.total, row.state, row.reasons) == (2, 2, State.SUCCEEDED, {})


def test_equal_averages_share_a_rank_and_the_next_one_counts_both(benchmark: Benchmark) -> None:
    put_on_board(benchmark, {"one": 0.25, "other": 0.25}, name="last")
    put_on_board(benchmark, {"one": 0.5, "other": 0.25}, name="tied 1")
    put_on_board(benchmark, {"one": 0.25, "other": 0.5}, name="tied 2")
    put_on_board(benchmark, {"one": 0.75, "other": 0.75}, name="first")
    assert [(row.rank, row.system) for row in read(benchmark)] == [
        (1, "first"),
        (2, "tied 1"),
        (2, "tied 2"),
        (4, "last"),
    ]


def test_incomplete_rows_have_no_rank_and_come_last_in_both_directions(benchmark: Benchmark) -> None:
    put_on_board(benchmark, {"one": 0.9}, name="half")
    put_on_board(benchmark, {"one": 0.25, "other": 0.25}, name="whole")
    assert [(row.rank, row.system) for row in read(benchmark)] == [(1, "whole"), (None, "half")]
    assert names(read(benchmark, "average")) == ["whole", "half"]
    assert names(read(benchmark, "rank")) == ["whole", "half"]
    assert names(read(benchmark, "-one")) == ["half", "whole"]


def test_a_filter_does_not_change_ranks(benchmark: Benchmark) -> None:
    put_on_board(benchmark, {"one": 0.9, "other": 0.9}, name="A", family="dense")
    put_on_board(benchmark, {"one": 0.5, "other": 0.5}, name="B", family="lexical")
    lexical = queries.entries(benchmark).filter(revision__system__family="lexical")
    assert [(row.rank, row.system) for row in queries.rows(queries.board("two"), lexical)] == [(2, "B")]


def test_rows_of_other_boards_and_replaced_rows_are_not_there(benchmark: Benchmark) -> None:
    old = put_on_board(benchmark, {"one": 0.9, "other": 0.9}, name="A")
    put_on_board(benchmark, {"one": 0.5, "other": 0.5}, revision=old.revision)
    put_on_board(make_benchmark("elsewhere", [make_dataset("third")]), {"third": 0.9}, name="B")
    assert [(row.system, row.average) for row in read(benchmark)] == [("A", 0.5)]


def test_a_missing_value_says_why(benchmark: Benchmark) -> None:
    submission = make_submission(benchmark=benchmark)
    one, other = queries.board("two").datasets
    measure(submission, one, {"nDCG@10": 0.5})
    entry = put_on_board(benchmark, {"one": 0.5}, name="running")
    assert read_reason(benchmark, entry.revision.system.name) == "queued"
    entry.submission.evaluations.filter(dataset=other).update(state=State.RUNNING)
    assert read_reason(benchmark, "running") == "running"
    entry.submission.evaluations.filter(dataset=other).update(state=State.FAILED, error_code="out-of-memory")
    assert read_reason(benchmark, "running") == "failed (out-of-memory)"
    entry.submission.evaluations.filter(dataset=other).update(state=State.SUCCEEDED, protocol="ffffffffffff")
    assert read_reason(benchmark, "running").startswith("measured under protocol ffffffffffff")


def read_reason(benchmark: Benchmark, system: str) -> str:
    (row,) = [row for row in read(benchmark) if row.system == system]
    assert "1 of 2 datasets done" in row.average_reason or "2 of 2" in row.average_reason
    return row.reasons["other"]


def test_a_board_is_read_in_as_many_queries_with_one_row_as_with_many(benchmark: Benchmark) -> None:
    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            read(benchmark)
            queries.underway(benchmark)
            queries.recent()
            queries.summaries()
        return len(captured)

    put_on_board(benchmark, {"one": 0.5})
    make_submission(benchmark=benchmark)
    few = count()
    for number in range(5):
        put_on_board(benchmark, {"one": 0.1 * number, "other": 0.5})
        put_on_board(benchmark, {"one": 0.1 * number})
        make_submission(benchmark=benchmark)
    assert few == count()
    assert few <= 3 + 2 + 2 + 2 + 3


def test_rows_sort_by_name_without_regard_to_case_and_by_any_metric(benchmark: Benchmark) -> None:
    put_on_board(benchmark, {"one": 0.5, "other": 0.5}, name="beta", metrics={"parameters": 10})
    put_on_board(benchmark, {"one": 0.4, "other": 0.4}, name="Alpha", metrics={"parameters": 20})
    put_on_board(benchmark, {"one": 0.3, "other": 0.3}, name="gamma")
    rows = read(benchmark)
    assert names(sort(rows, "system")) == ["Alpha", "beta", "gamma"]
    assert names(sort(rows, "parameters")) == ["beta", "Alpha", "gamma"]
    assert names(sort(rows, "-parameters")) == ["Alpha", "beta", "gamma"]


def test_the_best_follows_each_metrics_direction(benchmark: Benchmark) -> None:
    put_on_board(benchmark, {"one": 0.5, "other": 0.5}, metrics={"parameters": 10, "Judged@10": 0.5})
    put_on_board(benchmark, {"one": 0.4, "other": 0.6}, metrics={"parameters": 20, "Judged@10": 0.4})
    rows = read(benchmark)
    assert best(rows, ["one", "other", "parameters", "Judged@10", "average"]) == {
        "one": 0.5,
        "other": 0.6,
        "parameters": 10,
    }
    assert metric_names(rows) == ["nDCG@10", "Judged@10", "parameters"]


def test_a_submission_without_a_row_is_underway_and_a_cancelled_one_is_not(benchmark: Benchmark) -> None:
    make_submission(benchmark=benchmark, state=State.CANCELLED)
    waiting = make_submission(benchmark=benchmark)
    put_on_board(benchmark, {"one": 0.5})
    assert [activity.submission_id for activity in queries.underway(benchmark)] == [waiting.pk]


def test_summaries_name_the_leaders_and_count_only_complete_rows(benchmark: Benchmark) -> None:
    put_on_board(benchmark, {"one": 0.9})
    for name, value in (("C", 0.1), ("B", 0.2), ("A", 0.3), ("D", 0.05)):
        put_on_board(benchmark, {"one": value, "other": value}, name=name)
    (summary,) = queries.summaries(leaders=2)
    assert (summary.datasets, summary.systems) == (2, 4)
    assert [entry.revision.system.name for entry in summary.leaders] == ["A", "B"]


@pytest.mark.parametrize(
    ("metric", "value", "shown"),
    [
        ("nDCG@10", 0.64508, "64.5"),
        ("R@100", 1.0, "100.0"),
        ("nDCG@20", 0.5, "50.0"),
        ("parameters", 22_713_216, "22.7 M"),
        ("parameters", 0, "0"),
        ("parameters", 7_110_660_096, "7.11 B"),
        ("index_bytes", 1536, "1.54 kB"),
        ("index_bytes", 999_600, "1.00 MB"),
        ("document_sparsity_ratio", 0.9934, "99.3 %"),
        ("query_latency_p95_ms", 9.12, "9.12 ms"),
        ("nDCG@10", None, "–"),
    ],
)
def test_numbers_are_rounded_where_a_person_reads_them(metric: str, value: float | None, shown: str) -> None:
    assert describe(metric).format(value).replace("\N{NO-BREAK SPACE}", " ") == shown
