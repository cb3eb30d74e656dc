"""What workers say about themselves, and what a baseline is made of."""

from datetime import timedelta

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


def test_a_baseline_is_the_median_of_the_calibrations_that_count():
    registry.register(identity())
    for value in (1.0, 1.2, 5.0):
        registry.record_calibration("abc123abc123", {"bm25 cpu 1": value})
    registry.record_calibration("abc123abc123", {"bm25 cpu 1": 9.0}, rejected="too noisy")
    registry.record_calibration("abc123abc123", {"scan cpu 1": 7.0})
    assert registry.baseline("abc123abc123") == {"bm25 cpu 1": 1.2, "scan cpu 1": 7.0}
    Calibration.objects.filter(times_ms={"bm25 cpu 1": 5.0}).update(is_retired=True)
    assert registry.baseline("abc123abc123")["bm25 cpu 1"] == 1.1


def test_a_calibration_is_due_once_a_day():
    registry.register(identity())
    assert registry.calibration_is_due("abc123abc123")
    registry.record_calibration("abc123abc123", {"bm25 cpu 1": 1.0})
    assert not registry.calibration_is_due("abc123abc123")
    Calibration.objects.update(measured_at=timezone.now() - timedelta(days=1, seconds=1))
    assert registry.calibration_is_due("abc123abc123")
