"""Latency at operating points: what was claimed beside what is realised."""

from dataclasses import replace

import pytest

from evaluations.datasets import load
from evaluations.latency import baseline
from evaluations.latency.baseline import Baseline
from evaluations.latency.host import host_profile
from evaluations.latency.operating_points import (
    PointTimer,
    PointTimes,
    claimed_share_removed,
    no_point_metrics,
    point_metrics,
    speed_up,
)
from evaluations.latency.references import References, matched_sum
from evaluations.latency.schedule import Schedule
from evaluations.latency.session import Settings
from evaluations.latency.statistics import Interval
from evaluations.progress import Progress
from evaluations.tracks import Findings
from tests.evaluations.latency.stand_ins import steady, waiting_path

SYSTEM = replace(waiting_path(), encoder="neural", index="dense")
QUICK = Settings(schedule=Schedule(block_s=0.0))


@pytest.fixture
def timer(monkeypatch):
    """Beside references of a known speed; all gates let it pass: these tests run on busy machines."""
    monkeypatch.setattr("evaluations.latency.gates.rejection", lambda _: None)
    return gated_timer(monkeypatch)


def gated_timer(monkeypatch, stored=None):
    monkeypatch.setattr(baseline, "LEAST_NS", 0)
    monkeypatch.setattr(baseline, "mini_bm25", lambda: waiting_path(search_ms=0.1))
    paths = {
        "bm25": waiting_path(search_ms=0.1),
        "encoder": waiting_path(encode_ms=0.4),
        "scan": waiting_path(search_ms=0.2),
    }
    found = References(paths, matched_sum(SYSTEM))
    return PointTimer(found, load("mini", corpus=False), QUICK, stored, Progress())


def changed_path(**waits):
    return replace(waiting_path(**waits), encoder="neural", index="dense")


def times(ratio, low, high):
    return PointTimes(3.0, 1.0, ratio, Interval(low, high))


def in_turn(timer, *encode_ms):
    """What is timed of models that take so long."""
    return [timer.time(changed_path(encode_ms=each)) for each in encode_ms]


def figures(points):
    before, after = points
    return {"total_ms": before.total_ms, "realised": speed_up(before, after).realised}


def test_a_model_at_half_the_time_is_twice_as_fast(timer):
    expected = {"total_ms": pytest.approx(1.0, abs=0.1), "realised": pytest.approx(2.0, rel=0.15)}
    points = steady(lambda: in_turn(timer, 1.0, 0.5), figures, expected)
    assert figures(points) == expected
    found = speed_up(*points)
    assert 1.0 < found.interval.low <= found.realised <= found.interval.high


def test_zeros_that_the_products_do_not_skip_claim_much_and_realise_nothing(timer):
    expected = {"total_ms": pytest.approx(0.5, abs=0.1), "realised": pytest.approx(1.0, rel=0.15)}
    assert figures(steady(lambda: in_turn(timer, 0.5, 0.5), figures, expected)) == expected
    claimed = claimed_share_removed(
        {"query_compute_flop": 100.0, "query_compute_claimed_flop": 100.0},
        {"query_compute_flop": 100.0, "query_compute_claimed_flop": 40.0},
    )
    assert claimed == pytest.approx(0.6)


def test_a_search_among_less_is_timed_apart_from_encoding(timer):
    def parts(point):
        return {"search": point.search_ms, "total": point.total_ms}

    expected = {"search": pytest.approx(0.2, abs=0.05), "total": pytest.approx(0.6, abs=0.1)}
    path = changed_path(encode_ms=0.4, search_ms=0.2)
    assert parts(steady(lambda: timer.time(path), parts, expected)) == expected


def test_the_speed_up_is_the_quotient_of_the_ratios_and_no_more_certain_than_they_are():
    found = speed_up(times(2.0, 1.9, 2.2), times(1.0, 0.9, 1.1))
    assert found.realised == 2.0
    assert (found.interval.low, found.interval.high) == pytest.approx((1.9 / 1.1, 2.2 / 0.9))


def test_a_point_has_its_milliseconds_and_its_speed_up():
    assert point_metrics(times(2.0, 1.9, 2.1), times(1.0, 0.9, 1.1)) == {
        "query_latency_p50_ms": 3.0,
        "query_search_latency_p50_ms": 1.0,
        "query_speedup_realised": 2.0,
    }
    assert set(no_point_metrics().values()) == {None}


def test_the_unmodified_system_has_the_times_of_its_session():
    metrics = {
        "query_latency_p50_ms": 4.0, "query_search_latency_p50_ms": 1.5,
        "latency_ratio_matched_p50": 2.0, "latency_ratio_bm25_p50": 40.0,
    }  # fmt: skip
    intervals = {"latency_ratio_matched_p50": [1.9, 2.2], "latency_ratio_bm25_p50": [38.0, 41.0]}
    session = Findings(metrics, details={"intervals": intervals})
    assert PointTimes.of_session(session) == PointTimes(4.0, 1.5, 2.0, Interval(1.9, 2.2))
    alone = Findings(metrics | {"latency_ratio_matched_p50": None}, details={"intervals": intervals})
    assert PointTimes.of_session(alone) == PointTimes(4.0, 1.5, 40.0, Interval(38.0, 41.0))


def test_a_point_on_a_host_that_is_not_as_it_was_has_no_times_and_says_why(monkeypatch):
    """The references take at least what they wait, which is more than twice what is stored of this host."""
    stored = Baseline(host_profile().hash, {"bm25 cpu 1 p50": 0.04, "encoder cpu 1 fp32 p50": 0.1}, "then")
    found = gated_timer(monkeypatch, stored).time(changed_path(encode_ms=0.5))
    assert found.startswith("its session was rejected: ")
    assert "from its baseline of 0.04 ms (limit 10%)" in found
    assert "from its baseline of 0.1 ms (limit 10%)" in found


@pytest.mark.parametrize("counter", ["thermal_throttles", "quota_throttles"])
def test_a_point_at_which_the_processor_was_slowed_down_has_no_times(monkeypatch, counter):
    monkeypatch.setattr("evaluations.latency.conditions.Counters.since", lambda *_: CALM | {counter: 2})
    assert "throttling: 2 times while it was measured" in gated_timer(monkeypatch).time(changed_path())


CALM = {"thermal_throttles": 0, "quota_throttles": 0}
