"""The latency part of a system's page: times with intervals and machine, or why there are none."""

import pytest
from django.test import Client

from leaderboard.boards.models import Measurement
from leaderboard.catalog.models import Benchmark
from leaderboard.hosts import registry
from leaderboard.submissions.models import Evaluation, State, Track
from tests.factories import make_benchmark, make_dataset
from tests.leaderboard.boards.helpers import put_on_board, time_on

pytestmark = pytest.mark.django_db

HOST = "aaaaaaaaaaaa"
FOUND = {
    "session": {"device": "cpu", "threads": 1, "k": 10, "engine": "exact 1"},
    "matched_reference": "bm25 tokenise+encode + bm25 search",
    "references": {"bm25": {"p50_ms": 0.05, "p50_variation": 0.012}},
    "harness_overhead_p50_us": 0.38,
    "closed_loop": {"1": 31.25, "2": 62.5, "16": 250.0},
    "queries": {"distinct": 60, "timed": 1000, "looped": True},
    "host": {"facts": {"cpu": "Test processor", "cores": 2}},
    "gates": [
        {"name": "bm25 variation", "state": "passed"}, {"name": "thermal throttling", "state": "unknown"}
    ],
    "engines": [
        {"engine": "seismic", "version": "0.5", "recall@10": 0.99, "search_latency_p50_ms": 0.2,
         "exact_search_latency_p50_ms": 0.4}
    ],
}  # fmt: skip


@pytest.fixture
def board() -> Benchmark:
    registry.know(HOST, FOUND["host"]["facts"])
    return make_benchmark("single", [make_dataset("only")])


def page_of(client: Client, entry) -> str:
    return client.get(f"/systems/{entry.revision.system_id}/").content.decode()


def test_a_session_shows_its_times_intervals_machine_references_and_engines(board, client):
    entry = put_on_board(board, {"only": 0.5})
    time_on(entry.submission, {"query_latency_p50_ms": 2.0, "latency_ratio_bm25_p50": 1.25}, HOST)
    Measurement.objects.filter(metric="query_latency_p50_ms").update(low=1.9, high=2.125)
    Evaluation.objects.filter(track=Track.LATENCY).update(report={"tracks": {"latency": FOUND}})
    page = page_of(client, entry)
    assert f'href="/hosts/{HOST}/"' in page
    for said in (
        "Test processor, 2 cores", "1.90\N{NO-BREAK SPACE}ms to 2.12\N{NO-BREAK SPACE}ms",
        "1.25\N{NO-BREAK SPACE}×", "1,000 timed of 60 distinct; looped",
        "1 passed; not known here: thermal throttling",
        "Queries a second, 1 client<", ">31.2<", "Queries a second, 16 clients<", ">250<",
        "seismic 0.5", "recall@10 0.990", "0.38 µs", "bm25 tokenise+encode + bm25 search",
    ):  # fmt: skip
        assert said in page, said


def test_of_vectors_the_page_shows_the_search_and_why_there_is_no_total(board, client):
    reason = "query vectors were made elsewhere: only the search is timed"
    entry = put_on_board(board, {"only": 0.5})
    time_on(entry.submission, {"query_search_latency_p50_ms": 2.0}, HOST)
    timed = Evaluation.objects.get(track=Track.LATENCY)
    Measurement.objects.create(evaluation=timed, metric="query_latency_p50_ms", value=None, reason=reason)
    found = {**FOUND, "system": {"encoder": "given"}, "queries_without_vector": 3}
    Evaluation.objects.filter(pk=timed.pk).update(report={"tracks": {"latency": found}})
    page = page_of(client, entry)
    assert f'title="{reason}" class="none"' in page
    assert "3 queries have no vector and find nothing" in page
    assert "Searches a second, 2 clients<" in page
    board_page = client.get(f"/leaderboards/{board.name}/?show=latency").content.decode()
    assert "Query search p50" in board_page
    assert "Query p50" not in board_page


@pytest.mark.parametrize(
    ("state", "rejections", "said"),
    [
        (State.QUEUED, [], "No times on only: queued"),
        (
            State.QUEUED,
            [{"reason": "bm25 varied by 9 %"}],
            "the last session was rejected: bm25 varied by 9 %",
        ),
        (State.FAILED, [], "No times on only: 3 sessions were rejected"),
    ],
)
def test_times_that_are_not_there_say_why(board, client, state, rejections, said):
    entry = put_on_board(board, {"only": 0.5})
    dataset = board.datasets.get()
    message = "3 sessions were rejected, so no time is published" if state == State.FAILED else ""
    entry.submission.evaluations.create(
        dataset=dataset, track=Track.LATENCY, state=state, rejections=rejections, error_message=message
    )
    assert said in page_of(client, entry)
