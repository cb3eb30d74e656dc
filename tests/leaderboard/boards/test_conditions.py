"""Times are ranked and averaged under equal conditions only, and what is left out says truly why."""

import pytest
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from leaderboard.boards import charts, entries, queries
from leaderboard.boards.apps import _refresh_outdated
from leaderboard.boards.models import Entry
from leaderboard.boards.rows import Row, best
from leaderboard.boards.times import choices, chosen
from leaderboard.catalog.models import Benchmark
from leaderboard.hosts import registry
from leaderboard.submissions.models import State, Track
from tests.factories import make_benchmark, make_dataset

from .helpers import put_on_board, session_of, time_on, time_one

pytestmark = pytest.mark.django_db

HERE, THERE = "aaaaaaaaaaaa", "bbbbbbbbbbbb"
P50, MATCHED = "query_latency_p50_ms", "latency_ratio_matched_p50"
TIMES = {P50: 4.0, MATCHED: 2.0}
NOT_RANKED = "not ranked beside these"


@pytest.fixture
def board() -> Benchmark:
    registry.know(HERE, {"cpu": "Here", "cores": 2})
    return make_benchmark("pair", [make_dataset("one"), make_dataset("other")])


def timed(board: Benchmark, name: str, p50_ms: float, host: str = HERE, **facts: object) -> Entry:
    entry = put_on_board(board, {"one": 0.5, "other": 0.5}, name=name)
    return time_on(entry.submission, {P50: p50_ms, MATCHED: p50_ms / 2}, host, **facts)


def timed_apart(board: Benchmark, first: dict[str, object], second: dict[str, object]) -> Entry:
    """One row whose two datasets were timed under conditions of their own."""
    submission = put_on_board(board, {"one": 0.5, "other": 0.5}, name="apart").submission
    for member, facts in zip(board.members(), (first, second), strict=True):
        host = str(facts.get("host_profile", HERE))
        time_one(submission, member.dataset, TIMES, session_of(member.dataset, host) | facts)
    entry = entries.refresh(submission)
    assert entry is not None
    return entry


def rows_of(board: Benchmark, times: str = "") -> dict[str, Row]:
    shown = chosen(choices(board), times)
    found = queries.rows(queries.board(board.name), queries.entries(board), shown=shown)
    return {row.system: row for row in found}


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"device": "cuda"}, f"timed with device cuda instead of cpu: {NOT_RANKED}"),
        ({"threads": 2}, f"timed with threads 2 instead of 1: {NOT_RANKED}"),
        ({"k": 100}, f"timed with k 100 instead of 10: {NOT_RANKED}"),
        ({"engine": "exact 2"}, f"timed with engine exact 2 instead of exact 1: {NOT_RANKED}"),
        ({"query_loop": "batch 8"}, f"timed with another query loop: {NOT_RANKED}"),
        ({"references": "2: bm25"}, f"timed beside other references: {NOT_RANKED}"),
    ],
)
def test_neither_times_nor_ratios_of_other_conditions_stand_in_one_column(board, facts, said):
    timed(board, "a", 4.0)
    timed(board, "b", 2.0)
    other = timed(board, "c", 1.0, **facts)
    found = rows_of(board)
    assert [found[name].value(P50) for name in "abc"] == [4.0, 2.0, None]
    assert [found[name].value(MATCHED) for name in "abc"] == [2.0, 1.0, None]
    assert found["c"].reason(P50) == found["c"].reason(MATCHED) == said
    assert best(found.values(), [P50, MATCHED]) == {P50: 2.0, MATCHED: 1.0}
    theirs = rows_of(board, other.times_key)
    assert [theirs[name].value(P50) for name in "abc"] == [None, None, 1.0]


def test_a_ratio_of_another_host_stands_only_beside_the_same_references(board):
    timed(board, "a", 4.0)
    timed(board, "b", 4.0)
    timed(board, "c", 1.0, THERE)
    timed(board, "d", 1.0, THERE, references="2: bm25")
    found = rows_of(board)
    assert [found[name].value(MATCHED) for name in "acd"] == [2.0, 0.5, None]
    assert found["c"].reason(P50) == f"timed on another host: {NOT_RANKED}"
    assert found["d"].reason(P50) == f"timed on another host, beside other references: {NOT_RANKED}"
    assert found["d"].reason(MATCHED) == f"timed beside other references: {NOT_RANKED}"


def test_another_reference_encoder_parts_ratios_but_no_times_and_no_rows_without_one(board):
    """BM25's references have no encoder among them: its ratio is the same beside any."""
    timed(board, "a", 4.0, references="1: bm25; encoder aaaa")
    timed(board, "b", 2.0, references="1: bm25; encoder aaaa")
    timed(board, "c", 1.0, references="1: bm25; encoder cccc")
    timed(board, "d", 0.5, references="1: bm25")
    found = rows_of(board)
    assert [found[name].value(P50) for name in "abcd"] == [4.0, 2.0, 1.0, 0.5]
    assert [found[name].value(MATCHED) for name in "abcd"] == [2.0, 1.0, None, 0.25]
    assert found["c"].reason(MATCHED) == f"timed beside another reference encoder: {NOT_RANKED}"


def test_a_mean_of_ratios_needs_one_reference_encoder_and_a_mean_of_times_does_not(board):
    references = ("1: bm25; encoder aaaa", "1: bm25; encoder cccc")
    entry = timed_apart(board, *({"references": each} for each in references))
    assert entry.metrics[P50] == 4.0
    assert MATCHED not in entry.metrics
    said = "the datasets' sessions differ in reference encoder: no mean is taken"
    assert rows_of(board)["apart"].reason(MATCHED) == said


def test_looped_queries_part_no_rows_and_are_told(board, client: Client):
    """Whether there are too few queries depends on how fast a system is."""
    timed(board, "a", 4.0)
    timed(board, "b", 2.0, query_loop="batch 1, chunks of 20; looped")
    found = rows_of(board)
    assert [found[name].value(P50) for name in "ab"] == [4.0, 2.0]
    assert [found[name].is_looped for name in "ab"] == [False, True]
    page = client.get("/leaderboards/pair/").content.decode()
    assert 'title="2.0; some queries were timed more than once"' in page
    assert 'title="4.0"' in page


@pytest.mark.parametrize(
    ("facts", "has_ratio", "differs"),
    [
        ({"device": "cuda"}, False, "device"),
        ({"engine": "exact 2", "k": 5}, False, "k and engine"),
        ({"host_profile": THERE}, True, "host"),
    ],
)
def test_a_mean_over_datasets_refuses_conditions_that_differ(board, facts, has_ratio, differs):
    entry = timed_apart(board, {}, facts)
    said = f"the datasets' sessions differ in {differs}: no mean is taken"
    assert P50 not in entry.metrics
    assert (MATCHED in entry.metrics) is has_ratio
    assert entry.host == ""
    row = rows_of(board)["apart"]
    assert row.reason(P50) == said
    assert row.value(MATCHED) == 2.0 if has_ratio else row.reason(MATCHED) == said


def test_a_session_on_other_data_than_the_boards_counts_nothing(board):
    entry = timed_apart(board, {}, {"definitions_version": 2})
    assert not entry.metrics.keys() & TIMES.keys()
    assert rows_of(board)["apart"].reason(P50) == ("other: measured under another protocol than the board's")


def test_the_row_names_a_device_that_is_no_processor_and_the_choice_does_too(board, client: Client):
    card = timed(board, "b", 2.0, device="cuda")
    timed(board, "a", 4.0)
    timed(board, "c", 4.0)
    page = client.get("/leaderboards/pair/").content.decode()
    assert page.count("timed on cuda") == 1
    assert "Times of" in page
    assert "Here, 2 cores, device cpu</a>" in page
    assert f"times={card.times_key}" in page
    assert "Here, 2 cores, device cuda</a> (1 row)" in page


def test_rest_and_csv_name_conditions_and_reasons(board, client: Client):
    timed(board, "a", 4.0)
    timed(board, "b", 4.0)
    other = timed(board, "c", 1.0, device="cuda")
    url = "/api/v1/leaderboards/pair/"
    found = {row["system"]: row for row in APIClient().get(url).json()["results"]}
    assert found["c"]["conditions"]["device"] == "cuda"
    assert P50 not in found["c"]["metrics"]
    assert found["c"]["missing"][P50] == f"timed with device cuda instead of cpu: {NOT_RANKED}"
    assert found["a"]["times"] == found["b"]["times"] != found["c"]["times"] == other.times_key
    (asked,) = [
        row
        for row in APIClient().get(url, {"times": other.times_key}).json()["results"]
        if P50 in row["metrics"]
    ]
    assert (asked["system"], asked["metrics"][P50]) == ("c", 1.0)
    lines = client.get("/leaderboards/pair/board.csv").content.decode().splitlines()
    assert any(f"{HERE},cuda,{other.times_key}" in line for line in lines)


def test_the_chart_says_what_it_leaves_out(board, client: Client):
    timed(board, "a", 4.0)
    timed(board, "b", 2.0)
    timed(board, "c", 1.0, device="cuda")
    found = rows_of(board).values()
    assert sorted(point.row.system for point in charts.points_of(list(found), P50)) == ["a", "b"]
    page = client.get(f"/leaderboards/pair/?x={P50}").content.decode()
    assert f"Left out: c (timed with device cuda instead of cpu: {NOT_RANKED})." in page
    assert "latency_ratio_bm25_p50" not in charts.AXES


def test_a_session_that_is_not_there_is_the_reason_and_not_another_host(board):
    entry = put_on_board(board, {"one": 0.5, "other": 0.5}, name="a")
    one, other = (member.dataset for member in board.members())
    time_one(entry.submission, one, TIMES, session_of(one, HERE))
    entry.submission.evaluations.create(
        dataset=other, track=Track.LATENCY, state=State.FAILED, error_message="3 sessions were rejected"
    )
    entries.refresh(entry.submission)
    assert rows_of(board)["a"].reason(P50) == "no times on other: 3 sessions were rejected"


def test_a_null_says_its_own_reason(board):
    entry = put_on_board(board, {"one": 0.5, "other": 0.5}, name="a")
    nulls: dict[str, float | None] = {"documents_per_second": None, P50: 2.0}
    for member in board.members():
        session = session_of(member.dataset, HERE)
        time_one(entry.submission, member.dataset, nulls, session, "made of other systems")
    entries.refresh(entry.submission)
    row = rows_of(board)["a"]
    assert row.value(P50) == 2.0
    assert row.reason("documents_per_second") == "one: made of other systems"


def test_where_no_times_were_asked_for_the_row_says_so(board):
    put_on_board(board, {"one": 0.5, "other": 0.5}, name="a")
    assert rows_of(board)["a"].reason(P50) == "the latency track was not asked for"
    assert rows_of(board)["a"].reason("flops") == "not measured on every dataset of this board"


def test_peak_memory_is_the_greatest_of_the_datasets_and_an_index_their_sum(board):
    """3 and 5 GB are held by two processes, one after the other."""
    submission = put_on_board(board, {"one": 0.5, "other": 0.5}).submission
    for member, gigabytes in zip(board.members(), (3e9, 5e9), strict=True):
        sizes = dict.fromkeys(
            ("peak_memory_bytes", "peak_card_memory_bytes", "index_resident_bytes"), gigabytes
        )
        time_one(submission, member.dataset, sizes, session_of(member.dataset, HERE))
    entry = entries.refresh(submission)
    assert entry is not None
    assert entry.metrics["peak_memory_bytes"] == entry.metrics["peak_card_memory_bytes"] == 5e9
    assert entry.metrics["index_resident_bytes"] == 8e9


def test_rows_from_before_conditions_were_kept_are_computed_anew_after_a_migration(board):
    entry = timed_apart(board, {}, {"device": "cuda"})
    Entry.objects.update(conditions=None, times_key="", metrics={P50: 4.0}, host=HERE)
    call_command("migrate", verbosity=0)
    entry.refresh_from_db()
    assert (entry.metrics, entry.host) == ({"nDCG@10": 0.5}, "")
    assert entry.conditions is not None
    assert entries.refresh_outdated() == 0


def test_a_migration_backwards_computes_nothing(board):
    class Before:
        """The models as they were: a row without `conditions`."""

        _meta = type("Meta", (), {"get_fields": staticmethod(list)})

    timed(board, "a", 4.0)
    Entry.objects.update(conditions=None)
    older = type("Apps", (), {"get_model": staticmethod(lambda *_: Before)})
    _refresh_outdated(older)
    assert Entry.objects.filter(conditions__isnull=True).count() == 1
