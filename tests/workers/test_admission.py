"""A worker's start: what it is, and whether its numbers may count. The references are really evaluated."""

import threading
from dataclasses import replace

import pytest

from evaluations.reference_scores import ReferenceScore
from leaderboard.hosts.models import BaselineCheck, Worker
from leaderboard.hosts.registry import Reproduction
from workers import admission, baseline, host

pytestmark = pytest.mark.django_db(transaction=True)

BM25 = ReferenceScore("bm25", "nDCG@10", 0.6582824410138595, 1e-6)
DENSE = ReferenceScore("dense:org/name", "nDCG@10", 0.75, 0.002)


@pytest.fixture(autouse=True)
def checked(var, settings, monkeypatch):
    settings.BASELINE_CHECK, settings.MODELS = True, str(var / "models")
    monkeypatch.setattr(admission, "REFERENCE_SCORES", (BM25,))


def test_a_worker_that_reproduces_the_stored_scores_is_active_while_it_runs():
    with admission.admitted(["retrieval.cpu"]):
        worker = Worker.objects.get()
        assert (worker.name, worker.status, worker.queues) == (host.WORKER, "active", "retrieval.cpu")
        [check] = BaselineCheck.objects.all()
        # 0.6582824... is what pytrec_eval computes of BM25's run over `mini` (test_reference_scores.py).
        assert (check.outcome, check.measured) == ("passed", pytest.approx(0.6582824, abs=1e-7))
    assert Worker.objects.get().status == "stopped"


def test_a_check_of_today_is_not_repeated():
    with admission.admitted(["retrieval.cpu"]):
        pass
    Worker.objects.all().delete()
    with admission.admitted(["retrieval.cpu"]):
        assert BaselineCheck.objects.count() == 1


def test_a_worker_that_finds_another_score_is_quarantined_says_why_and_takes_nothing(monkeypatch):
    monkeypatch.setattr(admission, "REFERENCE_SCORES", (ReferenceScore("bm25", "nDCG@10", 0.7, 1e-6),))
    entered = threading.Event()

    def stop_when_quarantined() -> None:
        for _ in range(600):
            if Worker.objects.filter(status="quarantined").exists():
                break
            host.stopping.wait(0.1)
        host.stopping.set()

    watcher = threading.Thread(target=stop_when_quarantined)
    watcher.start()
    with pytest.raises(admission.ShuttingDown), admission.admitted(["retrieval.cpu"]):
        entered.set()
    watcher.join()
    assert not entered.is_set()
    assert "bm25 on mini has nDCG@10 0.658282 here, not 0.700000" in Worker.objects.get().reason


def test_a_reference_whose_model_cannot_be_had_is_no_evidence_against_the_machine(monkeypatch):
    absent = ReferenceScore("dense:nobody/nothing", "nDCG@10", 0.7, 1e-6)
    monkeypatch.setattr(admission, "REFERENCE_SCORES", (BM25, absent))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    with admission.admitted(["retrieval.cpu"]):
        outcomes = {check.system: check.outcome for check in BaselineCheck.objects.all()}
    assert outcomes == {"bm25": "passed", "dense:nobody/nothing": "unknown"}


def only_known(monkeypatch, *references):
    """The references, and in place of their evaluation a note of which was evaluated where."""
    evaluated = []

    def reproduction(reference, device):
        evaluated.append((reference.system, device))
        expected = (reference.system, reference.metric, reference.expected, reference.tolerance)
        return Reproduction(*expected, reference.expected)

    monkeypatch.setattr(admission, "REFERENCE_SCORES", references)
    monkeypatch.setattr(baseline, "reproduction", reproduction)
    return evaluated


def test_a_worker_that_was_killed_between_two_checks_leaves_the_other_to_the_next(monkeypatch):
    only_known(monkeypatch, BM25)
    with admission.admitted(["retrieval.cpu"]):
        pass
    Worker.objects.all().delete()
    evaluated = only_known(monkeypatch, BM25, DENSE)
    with admission.admitted(["retrieval.cpu"]):
        assert evaluated == [("dense:org/name", "cpu")]


def test_a_check_of_another_expected_score_does_not_count(monkeypatch):
    only_known(monkeypatch, BM25)
    with admission.admitted(["retrieval.cpu"]):
        pass
    Worker.objects.all().delete()
    evaluated = only_known(monkeypatch, replace(BM25, expected=0.66))
    with admission.admitted(["retrieval.cpu"]):
        assert evaluated == [("bm25", "cpu")]


def test_each_device_that_the_queues_name_is_checked(monkeypatch):
    evaluated = only_known(monkeypatch, BM25, DENSE)
    with admission.admitted(["retrieval.cpu", "retrieval.gpu", "sparsity.cpu"]):
        pass
    assert evaluated == [
        ("bm25", "cpu"), ("dense:org/name", "cpu"), ("bm25", "gpu"), ("dense:org/name", "gpu"),
    ]  # fmt: skip
    assert set(BaselineCheck.objects.values_list("device", flat=True)) == {"cpu", "gpu"}


def test_a_check_does_not_hold_for_another_version_of_the_board(monkeypatch):
    evaluated = only_known(monkeypatch, BM25)
    for version in ("1.0", "1.0", "1.1"):
        monkeypatch.setattr("evaluations.provenance.sparseboard_version", lambda version=version: version)
        with admission.admitted(["retrieval.cpu"]):
            pass
        assert Worker.objects.get().versions["sparseboard"] == version
        Worker.objects.all().delete()
    assert len(evaluated) == 2


def test_a_check_waits_for_a_session_of_its_host_and_none_is_no_reason_to_wait(monkeypatch):
    evaluated = only_known(monkeypatch, BM25)
    with host.turn(alone=True, check=lambda: None):
        stop = threading.Timer(1, host.stopping.set)
        stop.start()
        with pytest.raises(admission.ShuttingDown), admission.admitted(["retrieval.cpu"]):
            pytest.fail("it was admitted")
        stop.join()
    assert evaluated == []
    host.stopping.clear()
    Worker.objects.all().delete()
    with admission.admitted(["retrieval.cpu"]):
        assert evaluated == [("bm25", "cpu")]
    Worker.objects.all().delete()
    with host.turn(alone=True, check=lambda: None), admission.admitted(["retrieval.cpu"]):
        assert evaluated == [("bm25", "cpu")]


def test_a_second_latency_worker_is_turned_away_before_it_is_registered():
    refused = pytest.raises(host.TwoLatencyWorkers)
    with host.only_latency_worker(), refused, admission.admitted(["latency.cpu"]):
        pytest.fail("it was admitted")
    assert not Worker.objects.exists()


def test_a_latency_worker_takes_nothing_else():
    queues = ["latency.cpu", "retrieval.cpu", "latency.gpu"]
    said = r"--queues latency.cpu,latency.gpu and another with --queues retrieval.cpu"
    with pytest.raises(host.NotStarted, match=said), admission.admitted(queues):
        pytest.fail("it was admitted")
    assert not Worker.objects.exists()


def test_latency_of_both_devices_is_one_workers(monkeypatch):
    only_known(monkeypatch, BM25)
    with admission.admitted(["latency.cpu", "latency.gpu"]):
        assert Worker.objects.get().queues == "latency.cpu,latency.gpu"
