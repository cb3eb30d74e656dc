"""Knee and drop on curves worked out by hand."""

import numpy as np
import pytest

from evaluations.sparsity.sweeps.curves import Drop, Knee, Level, drop, knee, lower_bound

BASE = np.full(100, 0.5)


def level(share, mean, **more):
    """A point at which every query has the same score."""
    return Level(str(round(share * 100)), share, np.full(100, mean), **more)


def gap(share, **more):
    return Level(str(round(share * 100)), None, None, **more)


def test_the_knee_is_the_last_level_before_the_loss_exceeds_one_percent():
    # Of 0.5, one percent is 0.005: 0.4951 loses 0.98 %, 0.494 loses 1.2 %.
    found = knee(BASE, [level(0.1, 0.499), level(0.2, 0.4951), level(0.3, 0.494), level(0.4, 0.2)])
    assert isinstance(found, Knee)
    assert (found.value, found.level) == ("20", 0.2)
    assert found.change == pytest.approx(-0.0098)


def test_a_level_that_recovers_behind_a_loss_is_no_knee():
    found = knee(BASE, [level(0.1, 0.499), level(0.2, 0.45), level(0.3, 0.5)])
    assert isinstance(found, Knee)
    assert found.value == "10"


def test_without_a_level_that_holds_there_is_no_knee_and_the_reason_says_so():
    assert knee(BASE, [level(0.1, 0.4)]) == "no tested level keeps the loss within 1 %"


def test_a_system_that_scores_nothing_has_no_knee():
    assert knee(np.zeros(5), [Level("10", 0.1, np.zeros(5))]) == "the unmodified system scores 0"
    assert drop(np.zeros(5), [Level("10", 0.1, np.zeros(5))]) == "the unmodified system scores 0"


def test_a_curve_without_any_point_says_that_nothing_was_tested():
    assert knee(BASE, [gap(0.1)]) == "no point was made"
    assert drop(BASE, []) == "no point was made"


def test_nothing_is_claimed_beyond_a_gap_that_the_change_made():
    found = knee(BASE, [level(0.1, 0.5), gap(0.2), level(0.3, 0.5)])
    assert isinstance(found, Knee)
    assert found.value == "10"


def test_a_value_that_the_system_cannot_have_was_not_tested():
    found = knee(BASE, [gap(0.05, fits=False), level(0.1, 0.5), gap(0.2, fits=False), level(0.3, 0.5)])
    assert isinstance(found, Knee)
    assert found.value == "30"


def test_points_denser_than_the_unmodified_system_are_no_levels():
    found = knee(BASE, [level(-1.0, 0.1), level(0.5, 0.5)])
    assert isinstance(found, Knee)
    assert found.value == "50"


def test_a_loss_that_all_queries_share_is_confirmed_and_one_that_few_carry_is_not():
    # The mean loss is the same 0.5 %. Where every query loses it, each resample has exactly that; where one
    # query of 100 loses half of its score, a resample with two or more of it is common (26 %): below -1 %.
    shared = knee(BASE, [level(0.1, 0.4975)])
    scores = BASE.copy()
    scores[0] = 0.25
    carried = knee(BASE, [Level("10", 0.1, scores)])
    assert isinstance(shared, Knee)
    assert isinstance(carried, Knee)
    assert shared.change == pytest.approx(carried.change)
    assert shared.lower_bound == pytest.approx(-0.005)
    assert shared.confirmed
    assert not carried.confirmed


def test_the_lower_bound_is_the_fifth_percentile_of_the_resampled_change():
    # One query of 100 loses half of its score. A resample has it B ~ Binomial(100, 0.01) times and loses
    # 0.5 % each time: P(B >= 4) = 1.8 %, P(B >= 3) = 7.9 %, so the 5th percentile is at B = 3.
    scores = BASE.copy()
    scores[0] = 0.25
    assert lower_bound(BASE, scores) == pytest.approx(-0.015)


def test_the_bootstrap_is_seeded():
    generator = np.random.default_rng(1)
    before, after = generator.random(50), generator.random(50)
    assert lower_bound(before, after) == lower_bound(before, after)


def test_an_unchanged_curve_has_its_knee_at_its_end():
    found = knee(BASE, [level(0.1, 0.5), level(0.9, 0.5)])
    assert found == Knee("90", 0.9, 0.0, 0.0, True)


def test_the_drop_is_the_first_interval_three_times_as_steep_as_what_is_before_it():
    # Slopes a unit of level, of the unmodified score: 0 to 0.2 loses 2 % (0.1), 0.2 to 0.4 loses 4 % (0.2,
    # not above 3 x 0.1), 0.4 to 0.5 loses 10 % (1.0, above 3 x 0.06 / 0.4 = 0.45).
    points = [level(0.2, 0.49), level(0.4, 0.47), level(0.5, 0.42), level(0.6, 0.1)]
    found = drop(BASE, points)
    assert isinstance(found, Drop)
    assert (found.from_value, found.to_value, found.from_level, found.to_level) == ("40", "50", 0.4, 0.5)
    assert found.loss == pytest.approx(0.10)


def test_an_interval_that_loses_no_more_than_two_percent_is_no_drop():
    # 10 to 20 is infinitely steeper than the flat start, and loses just 2 %; 20 to 30 loses 6 %.
    found = drop(BASE, [level(0.1, 0.5), level(0.2, 0.49), level(0.3, 0.46)])
    assert isinstance(found, Drop)
    assert (found.from_value, found.to_value) == ("20", "30")


def test_a_curve_that_falls_evenly_has_no_drop():
    points = [level(0.1, 0.45), level(0.2, 0.40), level(0.3, 0.35)]
    assert drop(BASE, points) == (
        "no interval loses more than 2 % of the score and 3 times as fast as what is before it"
    )


def test_the_first_interval_has_nothing_to_be_compared_with():
    assert isinstance(drop(BASE, [level(0.1, 0.2)]), str)
