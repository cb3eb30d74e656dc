"""The latency track through the pipeline: what it writes, and that its hash outlives scoring."""

from dataclasses import replace

import pytest

from evaluations import cli, pipeline
from evaluations.datasets import load
from evaluations.latency.baseline import (
    Baseline,
    calibration_paths,
    deciding_versions,
    key_of,
    read_baseline,
)
from evaluations.latency.harness import empty_path
from evaluations.latency.host import host_profile
from evaluations.latency.schedule import Schedule
from evaluations.latency.session import Settings
from evaluations.latency.throughput import Plan
from evaluations.pipeline import Request
from evaluations.report import read_report
from evaluations.systems.parse import parse_system

QUICK = Settings(schedule=Schedule(block_s=0.0), throughput=None)
LOADED = replace(QUICK, throughput=Plan(closed_s=0.2, open_s=0.2, documents=3, clients=(1,)))


@pytest.fixture
def measure(write_dataset, tmp_path):
    dataset = load(write_dataset())

    def run(*tracks, latency=QUICK, **others):
        request = Request(parse_system("bm25"), tmp_path / "out", tracks, latency=latency, **others)
        return pipeline.evaluate(request, dataset)

    return run


@pytest.fixture
def calm(monkeypatch):
    """Gates that let every session pass: these tests run on busy machines."""
    monkeypatch.setattr("evaluations.latency.track.session_gates", lambda *_: [])


def test_it_works(measure, calm, tmp_path):
    report = measure("latency")
    metrics = report.tracks["latency"].metrics
    assert 0 < metrics["query_latency_p50_ms"] < 50
    assert metrics["latency_ratio_matched_p50"] == pytest.approx(1.0, rel=0.5)  # it is its own reference
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.json"]
    assert read_report(tmp_path / "out") == report


def test_throughput_and_memory_are_in_the_track(measure, calm):
    metrics = measure("latency", latency=LOADED).tracks["latency"].metrics
    assert metrics["queries_per_second"] > metrics["open_loop_queries_per_second"] > 0
    assert metrics["documents_per_second"] > 0
    assert metrics["index_disk_bytes"] > metrics["index_resident_bytes"] > 0
    assert metrics["peak_memory_bytes"] > 10_000_000
    assert metrics["peak_card_memory_bytes"] is None or metrics["peak_card_memory_bytes"] >= 0


def test_a_machine_that_is_not_well_after_the_throughput_withholds_it_and_no_latency(measure, calm):
    impossible = Baseline(host_profile().hash, {"bm25 cpu 1 p50": 1e-6}, "2026-01-01")
    track = measure("latency", latency=LOADED, baseline=impossible).tracks["latency"]
    assert track.metrics["query_latency_p50_ms"] > 0
    for name in ("queries_per_second", "open_loop_latency_p50_ms", "documents_per_second", "index_build_s"):
        assert track.metrics[name] is None
        assert "the reference bm25 cpu 1 p50 was" in track.reasons[name]
        assert "after the throughput" in track.reasons[name]
    assert track.metrics["index_disk_bytes"] > track.metrics["index_resident_bytes"] > 0
    assert track.metrics["peak_memory_bytes"] > 10_000_000
    assert "closed_loop" not in track.details
    failed = {g["name"] for g in track.details["throughput_checks"]["gates"] if g["state"] == "failed"}
    assert failed == {f"bm25 cpu 1 {each} against baseline, after the throughput" for each in ("p50", "mean")}


def test_stops_for_a_used_up_quota_count_while_the_throughput_is_measured(measure, calm, monkeypatch):
    stops = iter(range(100))
    monkeypatch.setattr("evaluations.latency.conditions.cgroups.throttled", lambda: next(stops))
    track = measure("latency", latency=LOADED).tracks["latency"]
    reason = (
        "the machine was not well meanwhile: quota throttling: 1 times while it was measured (limit none)"
    )
    assert track.reasons["queries_per_second"] == reason


def test_a_rejected_session_measures_no_throughput(measure):
    impossible = Baseline(host_profile().hash, {"bm25 cpu 1 p50": 1e-6}, "2026-01-01")
    track = measure("latency", latency=LOADED, baseline=impossible).tracks["latency"]
    assert track.metrics == {}
    assert "closed_loop" not in track.details


def test_scoring_keeps_the_latency_and_its_hash(measure, calm):
    alone, together = measure("latency"), measure("retrieval", "sparsity", "latency")
    assert together.protocol["latency"] == alone.protocol["latency"]
    assert set(together.tracks) == {"retrieval", "sparsity", "latency"}


def test_a_baseline_that_is_not_met_rejects_the_session(measure):
    impossible = Baseline(host_profile().hash, {"bm25 cpu 1 p50": 1e-6}, "2026-01-01")
    track = measure("latency", baseline=impossible).tracks["latency"]
    assert track.metrics == {}
    assert "the reference bm25 cpu 1 p50 was" in track.details["rejected"]
    assert track.details["session"]["host_profile"] == impossible.host


def test_the_protocol_names_host_device_threads_k_engine_loop_and_references(measure, calm):
    facts = measure("latency").protocol["latency"]
    assert facts["host_profile"] == host_profile().hash
    assert (facts["device"], facts["threads"], facts["k"], facts["engine"]) == ("cpu", 1, 10, "exact 1")
    assert facts["query_loop"].endswith("looped")
    assert "scan of 100000 x 384 fp32" in facts["references"]


def test_the_first_ten_of_a_timed_query_are_those_of_the_run():
    from evaluations.progress import Progress
    from evaluations.systems import Runtime, kind_of

    dataset = load("mini")
    kind = kind_of("bm25")
    system = kind.load(kind.spec(), Runtime())
    system.index(dataset.documents, Progress())
    path = system.query_path(10, 1)
    run = system.retrieve(dataset.queries, 10, Progress())
    for query_id, text in dataset.queries.items():
        found = path.search(path.encode(path.tokenise(text)))
        assert [system.document_ids[row] for row in found.rows] == list(run.lists[query_id].document_ids)
        assert found.scores.tolist() == run.lists[query_id].scores.tolist()


def test_the_command_host_shows_the_profile_and_writes_a_baseline_that_a_session_takes(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("evaluations.commands.calibration_paths", lambda *_: {"bm25": empty_path()})
    file = tmp_path / "baseline.json"
    assert cli.main(["host", "--device", "cpu", "--write", str(file)]) == 0
    shown = capsys.readouterr().out
    assert f"host profile {host_profile().hash}" in shown
    assert "bm25 cpu 1 p50" in shown
    stored = read_baseline(file)
    assert stored.host == host_profile().hash
    assert set(stored.times_ms) == {"bm25 cpu 1 p50", "bm25 cpu 1 mean"}


def test_the_command_host_measures_an_encoder_of_each_precision_that_is_asked_for(monkeypatch, capsys):
    asked = []
    paths = {"bm25": empty_path()}
    monkeypatch.setattr("evaluations.commands.calibration_paths", lambda *given: asked.append(given) or paths)
    for given in ([], ["--precision", "fp32,bf16"], ["--precision", "none"]):
        assert cli.main(["host", "--device", "cpu", *given]) == 0
    assert asked == [("cpu", ("fp32",)), ("cpu", ("fp32", "bf16")), ("cpu", ())]
    assert cli.main(["host", "--precision", "bf17"]) == 2
    assert "'bf17' is no precision" in capsys.readouterr().err


def test_encoders_of_several_precisions_have_keys_of_their_own(monkeypatch):
    scan = replace(empty_path(), device="cuda")
    encoders = {each: replace(empty_path(), device="cuda", precision=each) for each in ("fp32", "bf16")}
    monkeypatch.setattr("evaluations.latency.baseline.mini_bm25", empty_path)
    monkeypatch.setattr("evaluations.latency.references.scan_path", lambda *_: scan)
    monkeypatch.setattr("evaluations.latency.references.encoder_path", lambda _, each: encoders[each])
    found = calibration_paths("cuda", ("fp32", "bf16"))
    keys = {key_of(name, path, 1) for name, path in found.items()}
    assert keys == {"bm25 cpu 1", "scan cuda 1", "encoder cuda 1 fp32", "encoder cuda 1 bf16"}


def test_versions_that_decide_the_times_are_those_of_what_the_references_run_and_of_the_encoders_files(
    monkeypatch,
):
    contents = iter(["sha256:a", "sha256:a", "sha256:b", None])
    monkeypatch.setattr("evaluations.latency.references.encoder_content", lambda: next(contents))
    mine = {"python": "3.11.7", "torch": "2.13.0", "ir-measures": "0.4"}
    first = deciding_versions(mine)
    assert first.keys() == {"python", "torch", "search", "references", "encoder"}
    assert deciding_versions({**mine, "ir-measures": "0.5"}) == first
    assert deciding_versions(mine) != first, "the encoder is another one"
    assert "encoder" not in deciding_versions(mine)


def test_a_baseline_that_is_not_there_is_refused_before_anything_runs(tmp_path, capsys):
    arguments = ["evaluate", "--system", "bm25", "--dataset", "mini", "--tracks", "latency"]
    status = cli.main([*arguments, "--out", str(tmp_path / "out"), "--baseline", str(tmp_path / "absent")])
    assert status == 2
    assert "error[BASELINE]" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
