"""What workers say about themselves, and what a baseline is made of."""

from datetime import timedelta
from functools import partial

import pytest
from django.utils import timezone

from leaderboard.hosts import queries, registry
from leaderboard.hosts.models import BaselineCheck, Calibration, HostProfile, Worker
from leaderboard.hosts.registry import Identity, Reproduction

pytestmark = pytest.mark.django_db


def identity(name: str = "box:1", profile: str = "abc123abc123", **fields) -> Identity:
    defaults = {
        "facts": {"cpu": "Test processor", "cores": 2},
        "versions": {"python": "3.11.7", "numpy": "2"},
        "queues": ("latency.cpu",),
        "device": "cpu",
    }
    return Identity(name, profile, **defaults | fields)


def test_a_workers_life_from_start_to_end():
    me = identity()
    registry.register(me)
    assert Worker.objects.get().status == "starting"
    registry.quarantine(me.name, "BM25 differs")
    assert (Worker.objects.get().status, Worker.objects.get().reason) == ("quarantined", "BM25 differs")
    registry.admit(me.name)
    assert (Worker.objects.get().status, Worker.objects.get().reason) == ("active", "")
    registry.leave(me.name)
    assert Worker.objects.get().status == "stopped"
    assert HostProfile.objects.get().title == "Test processor, 2 cores"


def test_a_worker_that_says_nothing_for_two_minutes_is_not_alive():
    registry.register(identity())
    assert Worker.objects.filter(queries.alive()).count() == 1
    Worker.objects.update(seen_at=timezone.now() - timedelta(seconds=121))
    assert Worker.objects.filter(queries.alive()).count() == 0
    assert queries.hosts().get().workers_alive == 0


def test_a_score_within_its_tolerance_is_reproduced_and_one_outside_is_not():
    inside = Reproduction("bm25", "nDCG@10", 0.65, 0.001, 0.6509)
    outside = Reproduction("bm25", "nDCG@10", 0.65, 0.001, 0.6511)
    broken = Reproduction("bm25", "nDCG@10", 0.65, 0.001, None, "it crashed")
    absent = Reproduction("bm25", "nDCG@10", 0.65, 0.001, None, "no hub", tried=False)
    outcomes = [each.outcome for each in (inside, outside, broken, absent)]
    assert outcomes == ["passed", "failed", "failed", "unknown"]


def test_a_check_holds_for_a_day_on_the_same_machine_with_the_same_software():
    me = identity()
    registry.register(me)
    registry.record_check(me, Reproduction("bm25", "nDCG@10", 0.65, 0.001, 0.65))
    assert [check.system for check in registry.fresh_checks(me)] == ["bm25"]
    assert registry.fresh_checks(identity(versions={"python": "3.11.7", "numpy": "3"})) == []
    assert registry.fresh_checks(identity(device="gpu")) == []
    BaselineCheck.objects.update(checked_at=timezone.now() - timedelta(days=1, seconds=1))
    assert registry.fresh_checks(me) == []


def calibrated(times_ms, rejected="", *, versions=None, days_ago=0) -> Calibration:
    """Of the one host; stored now, and then as old as was said."""
    registry.record_calibration("abc123abc123", times_ms, rejected, versions)
    stored = Calibration.objects.latest("measured_at")
    stored.measured_at = timezone.now() - timedelta(days=days_ago)
    stored.save()
    return stored


def test_a_baseline_is_the_median_of_the_calibrations_that_count():
    registry.register(identity())
    for days, value in ((5, 1.0), (4, 1.2), (3, 5.0)):
        calibrated({"bm25 cpu 1 p50": value}, days_ago=days)
    calibrated({"bm25 cpu 1 p50": 9.0}, "too noisy", days_ago=2)
    calibrated({"scan cpu 1 p50": 7.0}, days_ago=1)
    assert registry.baseline("abc123abc123") == {"bm25 cpu 1 p50": 1.2, "scan cpu 1 p50": 7.0}


def test_of_two_calibrations_the_older_is_the_baseline_so_that_one_odd_day_moves_nothing():
    registry.register(identity())
    calibrated({"bm25 cpu 1 p50": 1.0}, days_ago=3)
    odd = calibrated({"bm25 cpu 1 p50": 1.3}, days_ago=2)
    assert registry.baseline("abc123abc123") == {"bm25 cpu 1 p50": 1.0}
    calibrated({"bm25 cpu 1 p50": 1.1}, days_ago=1)
    assert registry.baseline("abc123abc123") == {"bm25 cpu 1 p50": 1.1}
    odd.is_retired = True
    odd.save()
    assert registry.baseline("abc123abc123") == {"bm25 cpu 1 p50": 1.0}


def test_fifteen_of_each_reference_are_considered():
    """Others that were calibrated meanwhile push none out."""
    registry.register(identity())
    for day in range(20):
        calibrated({"bm25 cpu 1 p50": 1.0 + day}, days_ago=60 - day)
        calibrated({"scan cuda 1 p50": 3.0}, days_ago=60 - day)
    assert registry.baseline("abc123abc123") == {"bm25 cpu 1 p50": 13.0, "scan cuda 1 p50": 3.0}


def test_a_calibration_is_due_once_a_day():
    registry.register(identity())
    assert registry.calibration_is_due("abc123abc123", {"bm25 cpu 1"}, {})
    stored = calibrated({"bm25 cpu 1 p50": 1.0, "bm25 cpu 1 mean": 1.1})
    assert not registry.calibration_is_due("abc123abc123", {"bm25 cpu 1"}, {})
    stored.measured_at = timezone.now() - timedelta(days=1, seconds=1)
    stored.save()
    assert registry.calibration_is_due("abc123abc123", {"bm25 cpu 1"}, {})


def test_a_calibration_is_due_where_one_reference_that_is_needed_is_in_none_of_the_days():
    registry.register(identity())
    calibrated({"bm25 cpu 1 p50": 1.0, "encoder cpu 1 fp32 p50": 5.0})
    calibrated({"scan cpu 1 p50": 9.0})
    due = partial(registry.calibration_is_due, "abc123abc123", versions={})
    assert not due({"bm25 cpu 1", "encoder cpu 1 fp32", "scan cpu 1"})
    assert due({"bm25 cpu 1", "encoder cpu 1 bf16"})
    assert due({"bm25 cpu 1", "scan cuda 1"})


def test_after_an_upgrade_a_host_is_calibrated_anew_and_the_old_times_count_no_more():
    registry.register(identity())
    old, new = {"torch": "2.12", "numba": "0.61"}, {"torch": "2.13", "numba": "0.61"}
    for days in (4, 3, 2):
        calibrated({"bm25 cpu 1 p50": 1.0}, versions=old, days_ago=days)
    calibrated({"bm25 cpu 1 p50": 1.0}, versions=old)
    assert registry.calibration_is_due("abc123abc123", {"bm25 cpu 1"}, new)
    assert registry.baseline("abc123abc123", new) == {}
    assert calibrated({"bm25 cpu 1 p50": 2.0}, versions=new).jumps == {}
    assert registry.baseline("abc123abc123", new) == {"bm25 cpu 1 p50": 2.0}
    assert registry.baseline("abc123abc123", dict(reversed(old.items()))) == {"bm25 cpu 1 p50": 1.0}
    assert registry.baseline("abc123abc123") == {"bm25 cpu 1 p50": 2.0}


def test_a_calibration_more_than_a_tenth_off_the_median_so_far_is_marked_with_it():
    registry.register(identity())
    calibrated({"bm25 cpu 1 p50": 1.0, "scan cpu 1 p50": 20.0}, days_ago=3)
    near = calibrated({"bm25 cpu 1 p50": 1.09, "scan cpu 1 p50": 18.1}, days_ago=2)
    assert near.jumps == {}
    far = calibrated({"bm25 cpu 1 p50": 1.12, "scan cpu 1 p50": 17.9, "scan cuda 1 p50": 9.0}, days_ago=1)
    assert far.jumps == {"bm25 cpu 1 p50": 1.0, "scan cpu 1 p50": 20.0}
    assert calibrated({"bm25 cpu 1 p50": 9.0}, "too noisy").jumps == {}
