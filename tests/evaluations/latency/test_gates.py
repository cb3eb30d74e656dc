"""The gates, on synthetic blocks: which session is rejected, and what it says."""

import numpy as np
import pytest

from evaluations.latency import gates
from evaluations.latency.card import Look
from evaluations.latency.statistics import block_variation, mean, p50, ratio

MS = 1_000_000
BASELINE = {"bm25 cpu 1 p50": 0.1, "scan cpu 1 p50": 12.0, "scan cpu 1 mean": 12.5}


def blocks(*levels_ms):
    return [np.full((10, 20), int(level * MS)) for level in levels_ms]


@pytest.mark.parametrize(
    ("levels", "state"),
    [
        ((10, 10, 10, 10, 10), "passed"),
        ((10, 10.5, 10, 9.5, 10), "passed"),  # by hand: 3.5 %
        ((10, 10.9, 10, 9.1, 10), "failed"),  # by hand: 6.4 %
        ((10, 10, 10, 10, 12), "failed"),  # one block alone: 8.6 %
        ((10, 10, 10, 10, 11), "passed"),  # 4.4 %
        ((10, 11, 12, 13, 14), "failed"),  # a drift
    ],
)
def test_a_reference_whose_blocks_vary_by_more_than_five_percent_rejects(levels, state):
    found = blocks(*levels)
    gate = gates.variation_gate("scan", block_variation(found, p50), block_variation(found, mean))
    assert gate.state == state


def test_blocks_whose_medians_agree_and_whose_means_do_not_reject():
    """What a shared processor does to quick queries: one in fifty meets the scheduler and takes 4 ms."""
    found = blocks(0.05, 0.05, 0.05, 0.05, 0.05)
    for block, stalls in zip(found, (0, 4, 2, 6, 3), strict=True):
        block[:stalls, 0] = 4 * MS
    assert block_variation(found, p50) == 0
    assert gates.variation_gate("bm25", 0.0, block_variation(found, mean)).state == "failed"


@pytest.mark.parametrize(
    ("levels", "state"),
    [
        ((15, 15, 15, 15, 15), "passed"),
        ((15, 15.4, 15, 14.6, 15), "passed"),  # by hand: 1.9 %
        ((15, 15.8, 15, 14.2, 15), "failed"),  # by hand: 3.8 %
    ],
)
def test_a_ratio_that_varies_by_more_than_three_percent_rejects(levels, state):
    between = ratio(blocks(*levels), blocks(10, 10, 10, 10, 10), seed=1)
    assert gates.ratio_gate(between.variation).state == state


@pytest.mark.parametrize(
    ("scan_ms", "state"),
    [(12.0, "passed"), (13.1, "passed"), (13.3, "failed"), (10.9, "passed"), (10.7, "failed")],
)
def test_a_reference_whose_median_is_more_than_a_tenth_off_its_baseline_rejects(scan_ms, state):
    (gate,) = gates.baseline_gates({"scan cpu 1 p50": scan_ms}, BASELINE)
    assert gate.state == state


@pytest.mark.parametrize(("mean_ms", "state"), [(12.0, "passed"), (13.8, "failed"), (37.0, "failed")])
def test_a_reference_whose_mean_alone_is_off_rejects_too(mean_ms, state):
    found = {"scan cpu 1 p50": 12.0, "scan cpu 1 mean": mean_ms}
    assert [gate.state for gate in gates.baseline_gates(found, BASELINE)] == ["passed", state]


def test_without_a_baseline_nothing_is_known_and_nothing_is_rejected():
    found = gates.baseline_gates({"scan cpu 1 p50": 99.0}, None)
    assert [(gate.state, gate.said) for gate in found] == [("unknown", "no baseline was given")]
    assert gates.rejection(found) is None


def test_a_reference_that_a_given_baseline_lacks_rejects_and_says_how_to_have_it():
    found = gates.baseline_gates({"encoder cpu 1 bf16 p50": 5.0, "scan cpu 1 p50": 12.0}, BASELINE)
    assert [gate.state for gate in found] == ["failed", "passed"]
    assert gates.rejection(found) == (
        "the baseline has no encoder cpu 1 bf16 p50;"
        " make one of the system's device and precision (host --write)"
    )


def test_a_baseline_of_another_host_rejects():
    gate = gates.foreign_baseline_gate("aaaaaaaaaaaa", "bbbbbbbbbbbb")
    assert gates.rejection([gate]) == (
        "the baseline is of host profile aaaaaaaaaaaa, this is bbbbbbbbbbbb; give one that was made here"
    )


@pytest.mark.parametrize(("times", "state"), [(0, "passed"), (1, "failed"), ("unknown", "unknown")])
def test_throttling_rejects_where_it_can_be_read(times, state):
    assert gates.throttling_gate("thermal throttling", times).state == state


@pytest.mark.parametrize(
    ("looks", "states"),
    [
        ([Look((), False), Look((), False)], ["passed", "passed"]),
        ([Look((), False), Look((4711,), False), Look((), False)], ["failed", "passed"]),  # it came and left
        ([Look((), True), Look((), False)], ["passed", "failed"]),
        ([Look(None, None), Look(None, None)], ["unknown", "unknown"]),
        ([Look((), False), Look(None, None)], ["unknown", "unknown"]),
        ([Look(None, True), Look((4711,), None)], ["failed", "failed"]),
        ([], ["unknown", "unknown"]),
    ],
)
def test_a_shared_or_throttled_card_rejects_where_it_can_be_read(looks, states):
    assert [gate.state for gate in gates.card_gates(looks)] == states


def test_a_process_that_was_seen_twice_is_one_and_looks_that_saw_a_slow_card_are_counted():
    looks = [Look((4711,), True), Look((4711, 4712), True), Look((), False)]
    assert [gate.said for gate in gates.card_gates(looks)] == [
        "2 other processes computed on the card (limit none)",
        "the card was slowed at 2 of 3 looks (limit none)",
    ]


@pytest.mark.parametrize(("microseconds", "state"), [(0.4, "passed"), (19.9, "passed"), (20.0, "failed")])
def test_a_harness_that_costs_twenty_microseconds_rejects(microseconds, state):
    gate = gates.overhead_gate(microseconds)
    assert (gate.state, gate.limit) == (state, 20.0)
    assert gate.said == (
        "the harness took 20.0 µs of a query with an empty system (limit 20)" if state == "failed" else ""
    )


def test_a_second_calibration_says_which_it_is():
    (gate,) = gates.baseline_gates({"scan cpu 1 p50": 18.0}, BASELINE, "after the loop")
    assert gate.name == "scan cpu 1 p50 against baseline, after the loop"
    assert gate.said == (
        "the reference scan cpu 1 p50 was 18 ms after the loop, +50% from its baseline of 12 ms (limit 10%)"
    )


def test_a_rejection_names_every_gate_that_failed_with_its_figures():
    checked = [
        gates.variation_gate("bm25", 0.02, 0.03),
        gates.variation_gate("scan", 0.084, 0.03),
        *gates.baseline_gates({"scan cpu 1 p50": 18.0}, BASELINE),
    ]
    assert gates.rejection(checked) == (
        "the p50 of the reference scan varied by 8.4% between blocks (limit 5%); "
        "the reference scan cpu 1 p50 was 18 ms, +50% from its baseline of 12 ms (limit 10%)"
    )


def test_a_session_whose_gates_all_hold_is_not_rejected():
    assert gates.rejection([gates.variation_gate("bm25", 0.05, 0.05), gates.ratio_gate(0.03)]) is None
