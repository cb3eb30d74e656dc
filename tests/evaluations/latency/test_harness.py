"""The timed loop: known systems, the order of queries, chunks that alternate, what the harness costs."""

from dataclasses import replace

import numpy as np
import pytest

from evaluations.latency.gates import OVERHEAD_LIMIT_US
from evaluations.latency.harness import PARTS, alternate, empty_path, timed
from evaluations.latency.quiet import quiet
from evaluations.latency.schedule import Schedule, query_order
from evaluations.latency.statistics import p50, ratio, summary
from tests.evaluations.latency.stand_ins import steady, waiting_path

TEXTS = [f"query {number}" for number in range(60)]
SHORT = Schedule(block_s=0.0)
SEED = 1


class CountedClock:
    """Each look at it is a microsecond later than the one before."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        self.now += 1000
        return self.now


def recording_path(log, name):
    """A path that writes down which query it met."""
    return replace(empty_path(), tokenise=lambda text: log.append((name, text)))


def test_it_works():
    found = alternate({"system": empty_path()}, TEXTS, SHORT, clock=CountedClock())
    assert found["system"].samples == 1000
    assert [block.shape for block in found["system"].blocks] == [(10, 20, len(PARTS))] * 5
    assert all((block == 1000).all() for block in found["system"].blocks)  # one look after the other


def quietly(contenders):
    with quiet():
        return alternate(contenders, TEXTS, SHORT)


def medians_ms(recording):
    """Of each part, and of whole queries."""
    parts = {
        part: summary([block[..., place] for block in recording.blocks], SEED).p50
        for place, part in enumerate(PARTS)
    }
    return {**parts, "total": summary(recording.totals, SEED).p50}


def test_five_milliseconds_of_encoding_and_two_of_searching_are_reported_as_such():
    expected = {
        "tokenise": pytest.approx(0.0, abs=0.3), "encode": pytest.approx(5.0, abs=0.3),
        "search": pytest.approx(2.0, abs=0.3), "total": pytest.approx(7.0, abs=0.6),
    }  # fmt: skip
    path = waiting_path(encode_ms=5.0, search_ms=2.0)
    found = medians_ms(steady(lambda: quietly({"system": path})["system"], medians_ms, expected))
    assert found == expected
    assert found["encode"] >= 5.0
    assert found["search"] >= 2.0


def test_a_system_half_as_slow_again_is_ranked_so_with_the_interval_apart():
    contenders = {"quick": waiting_path(search_ms=0.4), "slow": waiting_path(search_ms=0.6)}

    def between(found):
        return ratio(found["slow"].totals, found["quick"].totals, SEED)

    half_again = {"ratio": pytest.approx(1.5, rel=0.05)}
    found = steady(lambda: quietly(contenders), lambda found: {"ratio": between(found).value}, half_again)
    assert {"ratio": between(found).value} == half_again
    assert between(found).interval.low > 1.0
    quick, slow = (summary(found[name].totals, SEED) for name in contenders)
    assert quick.intervals["p50"].high < slow.intervals["p50"].low


def test_an_empty_system_shows_that_the_harness_costs_less_than_twenty_microseconds():
    with quiet():
        found = alternate({"empty": empty_path()}, TEXTS, SHORT)["empty"]
    assert p50(np.concatenate(found.totals)) / 1000 < OVERHEAD_LIMIT_US


def test_contenders_meet_the_same_queries_in_chunks_that_alternate():
    log = []
    alternate({name: recording_path(log, name) for name in "ab"}, TEXTS, SHORT)
    warm, timed_part = log[:100], log[100:]
    assert [name for name, _ in warm] == ["a"] * 50 + ["b"] * 50
    assert len(timed_part) == 2000
    for start in range(0, len(timed_part), 40):
        first, second = timed_part[start : start + 20], timed_part[start + 20 : start + 40]
        assert {name for name, _ in first} == {"a"}
        assert {name for name, _ in second} == {"b"}
        assert [text for _, text in first] == [text for _, text in second]


def test_after_each_block_there_is_a_moment_that_no_time_counts():
    log, clock = [], CountedClock()

    def moment():
        log.append("block")
        clock.now += 1_000_000_000

    contenders = {name: recording_path(log, name) for name in "ab"}
    found = alternate(contenders, TEXTS, SHORT, clock=clock, on_block_done=moment)
    # by hand: a block is 10 chunks of 20 queries of both, the warm-up 50 queries of both
    assert [place for place, entry in enumerate(log) if entry == "block"] == [
        100 + 400 * number + number - 1 for number in (1, 2, 3, 4, 5)
    ]
    assert max(block.max() for recording in found.values() for block in recording.blocks) == 1000


def test_every_pass_takes_each_query_once_in_an_order_of_its_own():
    order = query_order(60, seed=3)
    first, second = ([next(order) for _ in range(60)] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(60))
    assert first != second != list(range(60))


def test_the_stored_seed_gives_the_same_order_again():
    again = (query_order(1000, seed) for seed in (3, 3, 4))
    first, second, other = ([next(order) for _ in range(1000)] for order in again)
    assert first == second != other


def test_a_quick_system_fills_its_blocks_with_more_chunks():
    found = alternate({"system": empty_path()}, TEXTS, Schedule(block_s=0.05, most_chunks=60))
    assert [len(block) for block in found["system"].blocks] == [60] * 5


def test_blocks_end_by_the_clock_once_they_have_their_chunks():
    clock = CountedClock()  # a chunk of 20 queries looks 80 times, a block once more for each chunk
    found = alternate({"system": empty_path()}, TEXTS, Schedule(block_s=0.002), clock=clock)
    assert [len(block) for block in found["system"].blocks] == [25] * 5


def test_the_device_is_waited_for_before_a_query_and_after_each_step_that_uses_it():
    log = []
    path = replace(
        empty_path(),
        tokenise=lambda _: log.append("tokenise"),
        encode=lambda _: log.append("encode"),
        search=lambda _: log.append("search"),
        wait=lambda: log.append("wait"),
    )
    timed(path, ["a query"])
    assert log == ["wait", "tokenise", "encode", "wait", "search", "wait"]


@pytest.mark.parametrize("less", [{"warmup": 49}, {"chunks": 9}, {"blocks": 4}, {"chunk": 19}])
def test_a_schedule_below_the_protocol_is_refused(less):
    with pytest.raises(ValueError, match="protocol's least"):
        Schedule(**less)
