"""The pages of the machines that measure."""

from datetime import timedelta

import pytest
from django.utils import timezone

from leaderboard.hosts import registry
from leaderboard.hosts.models import Calibration
from leaderboard.hosts.registry import Reproduction
from tests.factories import add_dataset
from tests.leaderboard.hosts.test_registry import identity

pytestmark = pytest.mark.django_db


def test_it_works_without_any_machine(client):
    assert "No machine yet" in client.get("/hosts/").content.decode()


def test_a_machine_shows_its_facts_workers_checks_and_calibrations(client, django_assert_max_num_queries):
    add_dataset("mini")
    me = identity()
    registry.register(me)
    registry.admit(me.name)
    registry.record_check(me, Reproduction("bm25", "nDCG@10", 0.65, 0.001, 0.65))
    registry.record_check(me, Reproduction("dense:x/y", "nDCG@10", 0.7, 0.001, None, "no hub", tried=False))
    registry.record_calibration(me.profile, {"bm25 cpu 1": 0.1234})
    registry.record_calibration(me.profile, {}, rejected="bm25 varied by 9 %")
    assert "Test processor, 2 cores" in client.get("/hosts/").content.decode()
    with django_assert_max_num_queries(10):
        page = client.get(f"/hosts/{me.profile}/").content.decode()
    for text in ("reproduced", "not tried", "no hub", "0.123 ms", "varied by 9 %", "latency.cpu", "3.11.7"):
        assert text in page


def test_rejected_calibrations_hide_no_baseline_and_are_told_apart_with_their_number(client):
    add_dataset("mini")
    me = identity()
    registry.register(me)
    registry.record_calibration(me.profile, {"bm25 cpu 1 p50": 0.1234})
    for number in range(61):
        registry.record_calibration(me.profile, {}, rejected=f"bm25 was apart, time {number}")
    page = client.get(f"/hosts/{me.profile}/").content.decode()
    assert "0.123 ms" in page
    assert "Not calibrated yet" not in page
    assert "61 calibrations did not count" in page
    assert page.count("bm25 was apart") == 1


def test_a_host_that_only_ever_failed_its_calibration_says_why(client):
    add_dataset("mini")
    me = identity()
    registry.register(me)
    registry.record_calibration(me.profile, {"bm25 cpu 1 p50": 0.1}, rejected="the scan was apart")
    page = client.get(f"/hosts/{me.profile}/").content.decode()
    for text in ("Not calibrated yet", "1 calibration did not count", "the scan was apart"):
        assert text in page


def test_a_jump_is_shown_as_one_and_the_median_stays(client):
    add_dataset("mini")
    me = identity()
    registry.register(me)
    registry.record_calibration(me.profile, {"bm25 cpu 1 p50": 0.2}, versions={"torch": "2.13.0"})
    Calibration.objects.update(measured_at=timezone.now() - timedelta(days=1))
    registry.record_calibration(me.profile, {"bm25 cpu 1 p50": 0.25}, versions={"torch": "2.13.0"})
    page = client.get(f"/hosts/{me.profile}/").content.decode()
    assert "<td>0.200 ms</td>" in page
    assert "jump +25 %" in page
    assert "torch 2.13.0" in page


def test_a_quarantined_worker_is_shown_as_such_with_its_reason(client):
    add_dataset("mini")
    me = identity()
    registry.register(me)
    registry.quarantine(me.name, "bm25 on mini has nDCG@10 0.1 here")
    assert "1 quarantined" in client.get("/hosts/").content.decode()
    page = client.get(f"/hosts/{me.profile}/").content.decode()
    assert "bm25 on mini has nDCG@10 0.1 here" in page


def test_a_machine_nobody_knows_is_404(client):
    assert client.get("/hosts/000000000000/").status_code == 404


def test_facts_are_text_and_never_markup(client):
    registry.register(identity(facts={"cpu": "<script>alert(1)</script>", "cores": 2}))
    assert "<script>alert" not in client.get("/hosts/").content.decode()
