"""GET /api/v1/hosts/: what the pages of the machines show."""

import pytest
from rest_framework.test import APIClient

from leaderboard.hosts import registry
from leaderboard.hosts.registry import Reproduction
from tests.leaderboard.hosts.test_registry import identity

pytestmark = pytest.mark.django_db


def test_a_machine_is_listed_with_what_its_hash_covers(anonymous: APIClient) -> None:
    registry.register(identity())
    answer = anonymous.get("/api/v1/hosts/").json()
    assert list(answer) == ["count", "next", "previous", "results"]
    [row] = answer["results"]
    assert (row["hash"], row["title"]) == ("abc123abc123", "Test processor, 2 cores")
    assert (row["facts"]["cores"], row["workers_alive"], row["workers_quarantined"]) == (2, 1, 0)


def test_one_machine_has_its_workers_checks_and_calibrations(anonymous: APIClient) -> None:
    me = identity()
    registry.register(me)
    registry.quarantine(me.name, "bm25 differs")
    registry.record_check(me, Reproduction("bm25", "nDCG@10", 0.65, 0.001, 0.6))
    registry.record_calibration(me.profile, {"bm25 cpu 1": 0.5})
    registry.record_calibration(me.profile, {}, rejected="the scan was apart")
    answer = anonymous.get("/api/v1/hosts/abc123abc123/").json()
    assert [(each["status"], each["reason"]) for each in answer["workers"]] == [
        ("quarantined", "bm25 differs")
    ]
    assert [(each["outcome"], each["measured"]) for each in answer["checks"]] == [("failed", 0.6)]
    assert answer["baseline_ms"] == {"bm25 cpu 1": 0.5}
    assert [each["times_ms"] for each in answer["calibrations"]] == [{"bm25 cpu 1": 0.5}]
    assert (answer["rejected"], answer["last_rejected"]["rejected"]) == (1, "the scan was apart")


def test_a_machine_nobody_knows_is_404(anonymous: APIClient) -> None:
    assert anonymous.get("/api/v1/hosts/000000000000/").status_code == 404
