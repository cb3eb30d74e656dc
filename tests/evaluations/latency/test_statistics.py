"""Quantiles, intervals and ratios of times whose answers are known."""

import numpy as np
import pytest

from evaluations.latency.statistics import Ratio, block_variation, calibrated, p50, ratio, summary, variation

MS = 1_000_000
SEED = 1


def blocks(*levels_ms, chunks=10, chunk=20, spread=0.0, seed=0):
    """A block at each level; normal noise of a relative size."""
    generator = np.random.default_rng(seed)
    noise = (generator.normal(1.0, spread, (chunks, chunk)) for _ in levels_ms)
    return [(level * MS * each).astype(np.int64) for level, each in zip(levels_ms, noise, strict=True)]


def test_quantiles_of_one_to_a_thousand_milliseconds():
    times = (np.random.default_rng(0).permutation(1000) + 1) * MS
    found = summary([part.reshape(10, 20) for part in np.split(times, 5)], SEED)
    assert found.p50 == pytest.approx(500.5)  # by hand: between the 500th and the 501st
    assert found.p95 == pytest.approx(950.05)
    assert found.mean == pytest.approx(500.5)
    assert found.samples == 1000


def test_a_p99_needs_ten_thousand_samples():
    assert summary(blocks(1, 1, 1, 1, 1, chunks=99), SEED).p99 is None
    assert "p99" not in summary(blocks(1, 1, 1, 1, 1, chunks=99), SEED).intervals
    assert summary(blocks(1, 1, 1, 1, 1, chunks=100), SEED).p99 == pytest.approx(1.0)


def test_the_interval_of_times_that_do_not_vary_is_their_value():
    interval = summary(blocks(2, 2, 2, 2, 2), SEED).intervals["p50"]
    assert (interval.low, interval.high) == pytest.approx((2.0, 2.0))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Independent samples, so that 95 % is known to be right: of 30 intervals, 28 or 29 are expected."""
    covered = sum(
        10.0 in summary(blocks(*[10] * 5, spread=0.2, seed=seed), SEED).intervals["p50"] for seed in range(30)
    )
    assert covered >= 26


def test_blocks_that_differ_make_the_interval_wider_than_their_samples_alone():
    steady = summary(blocks(10, 10, 10, 10, 10, spread=0.02), SEED).intervals["p50"]
    moving = summary(blocks(8, 9, 10, 11, 12, spread=0.02), SEED).intervals["p50"]
    assert moving.high - moving.low > 5 * (steady.high - steady.low)


def test_the_ratio_is_the_median_over_blocks_so_that_one_bad_block_does_not_decide():
    found = ratio(blocks(2, 2, 2, 2, 40), blocks(1, 1, 1, 1, 1), SEED)
    assert found.value == pytest.approx(2.0)
    assert found.blocks == pytest.approx((2.0, 2.0, 2.0, 2.0, 40.0))


def test_a_machine_that_slows_down_as_a_whole_leaves_the_ratio_alone():
    found = ratio(blocks(3, 6, 9, 12, 15), blocks(2, 4, 6, 8, 10), SEED)
    assert found.value == pytest.approx(1.5)
    assert found.variation == pytest.approx(0.0, abs=1e-9)
    assert (found.interval.low, found.interval.high) == pytest.approx((1.5, 1.5))


def test_variation_is_the_standard_deviation_over_the_mean():
    assert variation([90, 100, 110]) == pytest.approx(0.1)  # by hand: sqrt((100 + 0 + 100) / 2) / 100
    assert block_variation(blocks(90, 100, 110), p50) == pytest.approx(0.1)


def test_the_seed_decides_the_interval():
    first, again = (summary(blocks(1, 2, 3, 4, 5, spread=0.1), SEED).intervals for _ in range(2))
    assert first == again


def test_a_ratio_knows_its_own_variation():
    assert Ratio(1.0, (0.9, 1.0, 1.1), None).variation == pytest.approx(0.1)


def test_a_calibrations_mean_forgets_one_stall_and_keeps_a_share_that_is_always_missing():
    quiet, stalled, shared = (np.full((100, 20), MS // 20) for _ in range(3))
    stalled[7, 3] = 300 * MS
    shared[::2, 0] = 4 * MS  # one query in forty
    assert calibrated(quiet)["mean"] == calibrated(stalled)["mean"] == pytest.approx(0.05)
    assert calibrated(shared)["p50"] == pytest.approx(0.05)
    assert calibrated(shared)["mean"] == pytest.approx(0.05 + 3.95 / 40)


@pytest.mark.parametrize("chunks", [(100, 150, 249), (100, 150, 251)])
def test_draws_of_uneven_blocks_have_more_or_fewer_samples_than_the_whole(chunks):
    """9,980 samples, or 10,020: either way some draws have over 10,000, and some have not."""
    whole = summary([block for count in chunks for block in blocks(1, chunks=count)], SEED)
    assert whole.samples == 20 * sum(chunks)
    assert (whole.p99 is None) == (whole.samples < 10_000)
    assert ("p99" in whole.intervals) == (whole.samples >= 10_000)
