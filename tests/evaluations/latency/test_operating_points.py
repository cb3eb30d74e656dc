"""Latency at operating points: what was claimed beside what is realised."""

from dataclasses import replace

import pytest

from evaluations.latency.operating_points import (
    PointTimer,
    PointTimes,
    claimed_share_removed,
    point_metrics,
    speed_up,
)
from evaluations.latency.references import References, matched_sum
from evaluations.latency.schedule import Schedule
from evaluations.latency.statistics import Interval, Ratio
from tests.evaluations.latency.stand_ins import steady, waiting_path

TEXTS = [f"query {number}" for number in range(40)]


@pytest.fixture(scope="module")
def timer():
    system = replace(waiting_path(), encoder="neural", index="dense")
    paths = {
        "bm25": waiting_path(search_ms=0.1),
        "encoder": waiting_path(encode_ms=0.4),
        "scan": waiting_path(search_ms=0.2),
    }
    return PointTimer(References(paths, matched_sum(system)), TEXTS, schedule=Schedule(block_s=0.0))


def times(ratio, low, high, rejected=None):
    return PointTimes(3.0, 1.0, Ratio(ratio, (ratio,) * 5, Interval(low, high)), rejected)


def in_turn(timer, *encode_ms):
    """What is timed of models that take so long."""
    return [timer.time(waiting_path(encode_ms=each)) for each in encode_ms]


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
    path = waiting_path(encode_ms=0.4, search_ms=0.2)
    assert parts(steady(lambda: timer.time(path), parts, expected)) == expected


def test_the_speed_up_is_the_quotient_of_the_ratios_and_no_more_certain_than_they_are():
    found = speed_up(times(2.0, 1.9, 2.2), times(1.0, 0.9, 1.1))
    assert found.realised == 2.0
    assert (found.interval.low, found.interval.high) == pytest.approx((1.9 / 1.1, 2.2 / 0.9))


def test_a_point_beside_noise_has_no_times():
    quiet, noisy = times(2.0, 1.9, 2.1), times(1.0, 0.9, 1.1, "the ratio varied")
    assert point_metrics(quiet, quiet)["query_speedup_realised"] == 1.0
    assert set(point_metrics(quiet, noisy).values()) == {None}
    assert set(point_metrics(noisy, quiet).values()) == {None}
