"""Throughput and latency under load, on a clock that tests move by hand where seconds would pass."""

import time
from dataclasses import replace

import numpy as np
import pytest

from evaluations.latency.harness import empty_path
from evaluations.latency.loops import closed_loop, open_loop, poisson_arrivals
from tests.evaluations.latency.stand_ins import wait_ms

TEXTS = [f"query {number}" for number in range(60)]
MS = 1_000_000
SEED = 5


class VirtualClock:
    """Nothing takes time but what says so."""

    def __init__(self):
        self.moment = 0

    def now(self):
        return self.moment

    def wait_until(self, moment):
        self.moment = max(self.moment, moment)


def serving(clock, milliseconds):
    """A path whose n-th search takes `milliseconds(n)`."""
    asked = iter(range(10**9))

    def search(given):
        clock.moment += int(milliseconds(next(asked)) * MS)
        return given

    return replace(empty_path(), search=search)


def stalling(number):
    """A millisecond, and 200 of them every 50th query."""
    return 200.0 if number % 50 == 49 else 1.0


def queue(arrivals, services):
    """Lindley's recursion: who arrives waits until who came before is served."""
    free, latencies = 0.0, []
    for arrival, service in zip(arrivals, services, strict=True):
        free = max(free, arrival) + service
        latencies.append(free - arrival)
    return np.array(latencies)


def test_a_stall_every_fiftieth_query_shows_at_the_99th_percentile_of_the_open_loop():
    clock, count = VirtualClock(), 10_000
    rate = 0.7 * 50 / (49 * 0.001 + 0.200)  # by hand: 50 queries take 249 ms
    found = open_loop([serving(clock, stalling)], TEXTS, rate, count, SEED, clock).latencies_ns / MS
    expected = queue(poisson_arrivals(rate, count, SEED) / MS, [stalling(number) for number in range(count)])
    assert np.abs(found - expected).max() < 1e-3
    assert len(found) == count
    assert np.percentile(found, 99) >= 200
    assert np.percentile(found, 80) > 100  # those who arrived during a stall paid too


def test_a_loop_that_waits_for_each_answer_would_have_shown_the_stall_to_two_queries_in_a_hundred():
    """Why the open loop is there: the same system, but each query is sent when the one before is answered."""
    closed = np.array([stalling(number) for number in range(10_000)])
    assert np.percentile(closed, 97) == 1.0


def test_without_load_the_open_loop_reports_the_service_time():
    clock = VirtualClock()
    found = open_loop([serving(clock, lambda _: 3.0)], TEXTS, 0.5, 1000, SEED, clock)
    assert np.median(found.latencies_ns) == 3 * MS


def test_arrivals_are_a_poisson_process_of_that_rate_and_seed():
    arrivals = poisson_arrivals(rate=200.0, count=20_000, seed=SEED)
    gaps = np.diff(arrivals) / 1e9
    assert gaps.mean() == pytest.approx(1 / 200, rel=0.03)
    assert gaps.std() == pytest.approx(1 / 200, rel=0.03)  # of an exponential: equal to its mean
    assert (arrivals == poisson_arrivals(200.0, 20_000, SEED)).all()
    assert (arrivals != poisson_arrivals(200.0, 20_000, SEED + 1)).any()


def test_one_client_asks_as_often_as_it_is_answered():
    clock = VirtualClock()
    assert closed_loop([serving(clock, lambda _: 2.0)], TEXTS, SEED, 10.0, clock) == pytest.approx(500)


def test_four_clients_of_a_system_that_waits_ask_four_times_as_often():
    path = replace(empty_path(), search=lambda _: time.sleep(0.01))
    one, four = (closed_loop([path] * clients, TEXTS, SEED, 1.0) for clients in (1, 4))
    assert four / one == pytest.approx(4, rel=0.25)
    assert one <= 100
    assert four <= 400


def test_a_real_open_loop_counts_from_when_a_query_was_to_be_sent():
    """2 ms of service and a query every 4 ms on average: no query is answered before Lindley says."""
    path = replace(empty_path(), search=wait_ms(2.0))
    found = open_loop([path], TEXTS, 250.0, 500, SEED).latencies_ns / MS
    expected = queue(poisson_arrivals(250.0, 500, SEED) / MS, [2.0] * 500)
    assert expected.mean() > 2.5  # so waiting is much of it
    assert (found > expected - 1e-3).all()


def test_two_servers_share_one_line():
    path = replace(empty_path(), search=lambda _: time.sleep(0.004))
    alone = open_loop([path], TEXTS, 220.0, 150, SEED).latencies_ns.mean()
    shared = open_loop([path] * 2, TEXTS, 220.0, 150, SEED).latencies_ns.mean()
    assert shared < 0.6 * alone


def test_what_a_path_raises_in_a_thread_is_raised_here():
    def broken(_):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        closed_loop([replace(empty_path(), search=broken)] * 2, TEXTS, SEED, 0.1)
