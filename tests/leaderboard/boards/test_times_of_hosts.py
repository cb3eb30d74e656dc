"""Times hold for one machine: a board ranks those of one host, and shows only ratios of the others."""

import pytest
from django.test import Client
from rest_framework.test import APIClient

from evaluations.report import Report
from evaluations.tracks import Findings
from leaderboard.boards import entries, results
from leaderboard.boards.models import Entry, Measurement
from leaderboard.catalog.models import Benchmark
from leaderboard.hosts import registry
from leaderboard.submissions import lifecycle
from leaderboard.submissions.models import Track
from tests.factories import make_benchmark, make_dataset, make_submission
from tests.leaderboard.boards.helpers import put_on_board, session_of, time_on, time_one

pytestmark = pytest.mark.django_db

HERE, THERE = "aaaaaaaaaaaa", "bbbbbbbbbbbb"


@pytest.fixture
def board() -> Benchmark:
    registry.know(HERE, {"cpu": "Here", "cores": 2})
    registry.know(THERE, {"cpu": "There", "cores": 64})
    return make_benchmark("pair", [make_dataset("one"), make_dataset("other")])


def timed(board: Benchmark, name: str, host: str, p50_ms: float) -> Entry:
    entry = put_on_board(board, {"one": 0.5, "other": 0.5}, name=name)
    return time_on(entry.submission, times_of(p50_ms), host)


def times_of(p50_ms: float) -> dict[str, float]:
    ratios = {"latency_ratio_matched_p50": p50_ms / 2, "latency_ratio_bm25_p50": 10 * p50_ms}
    return {"query_latency_p50_ms": p50_ms, **ratios}


def rows(board: Benchmark, host: str = "") -> dict[str, dict[str, float]]:
    answer = APIClient().get(f"/api/v1/leaderboards/{board.name}/", {"host": host} if host else {}).json()
    return {row["system"]: row["metrics"] for row in answer["results"]}


def test_the_host_that_timed_most_rows_is_shown_and_others_show_matched_ratios_only(board: Benchmark) -> None:
    timed(board, "a", HERE, 4.0)
    timed(board, "b", HERE, 2.0)
    timed(board, "c", THERE, 1.0)
    found = rows(board)
    assert [found[name].get("query_latency_p50_ms") for name in "abc"] == [4.0, 2.0, None]
    assert [found[name]["latency_ratio_matched_p50"] for name in "abc"] == [2.0, 1.0, 0.5]
    assert [found[name].get("latency_ratio_bm25_p50") for name in "abc"] == [40.0, 20.0, None]


def test_another_host_can_be_asked_for(board: Benchmark) -> None:
    timed(board, "a", HERE, 4.0)
    timed(board, "c", THERE, 1.0)
    assert rows(board, THERE)["c"]["query_latency_p50_ms"] == 1.0
    assert "query_latency_p50_ms" not in rows(board, THERE)["a"]
    assert rows(board, "nowhere000000") == rows(board)


def test_times_of_two_machines_have_no_mean(board: Benchmark) -> None:
    submission = put_on_board(board, {"one": 0.5, "other": 0.5}).submission
    for member, host, p50_ms in zip(board.members(), (HERE, THERE), (4.0, 2.0), strict=True):
        time_one(submission, member.dataset, times_of(p50_ms), session_of(member.dataset, host))
    entry = entries.refresh(submission)
    assert entry is not None
    assert entry.host == ""
    assert entry.metrics.keys() & times_of(1.0).keys() == {"latency_ratio_matched_p50"}
    assert entry.metrics["latency_ratio_matched_p50"] == 1.5
    assert rows(board)[entry.revision.system.name]["latency_ratio_matched_p50"] == 1.5


def test_the_page_names_the_machine_and_offers_the_other(board: Benchmark, client: Client) -> None:
    timed(board, "a", HERE, 4.0)
    timed(board, "b", HERE, 2.0)
    elsewhere = timed(board, "c", THERE, 1.0)
    page = client.get("/leaderboards/pair/?show=latency&sort=query_latency_p50_ms").content.decode()
    assert "Here, 2 cores" in page
    assert f"times={elsewhere.times_key}" in page
    assert "timed on another host" in page
    places = [page.index(f">{name}<") for name in "bac"]
    assert places == sorted(places)  # 2 ms, 4 ms, and the one that is not of this machine


def test_a_session_keeps_its_host_and_its_intervals() -> None:
    submission = make_submission(tracks=[Track.LATENCY])
    claim = lifecycle.claim(submission.evaluations.get().pk, "worker")
    assert claim is not None
    findings = Findings(
        {"query_latency_p50_ms": 2.0, "latency_samples": 1000},
        details={"intervals": {"query_latency_p50_ms": [1.9, 2.2]}},
    )
    report = Report(
        {"kind": "bm25"}, {"name": "x"}, {"latency": {"hash": "c" * 12, "host_profile": HERE}}, {},
        {"latency": findings},
    )  # fmt: skip
    results.commit(claim, report)
    assert submission.evaluations.get().host == HERE
    row = Measurement.objects.get(metric="query_latency_p50_ms")
    assert (row.value, row.low, row.high) == (2.0, 1.9, 2.2)
    assert Measurement.objects.get(metric="latency_samples").low is None
