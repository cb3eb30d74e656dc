"""The pages of the machines that measure."""

import pytest

from leaderboard.hosts import registry
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
