"""A session: what it reports of a system beside references, and what it withholds where a gate fails."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest

from evaluations.datasets import load
from evaluations.errors import EvaluationError
from evaluations.latency import baseline, session
from evaluations.latency.baseline import LEAST_NS, Baseline, key_of, read_baseline
from evaluations.latency.gates import variation_gate
from evaluations.latency.harness import empty_path
from evaluations.latency.host import HostProfile, host_profile
from evaluations.latency.references import References, matched_sum
from evaluations.latency.schedule import Schedule
from evaluations.latency.session import Settings, record, session_gates
from evaluations.latency.track import findings
from evaluations.progress import Progress
from evaluations.protocol import SESSION_FACTS, latency_protocol
from tests.evaluations.latency.stand_ins import steady, wait_ms, waiting_path

QUICK = Settings(schedule=Schedule(block_s=0.0))
PASSED = [variation_gate("bm25", 0.01, 0.01)]
PARTS = ("query_", "query_tokenise_", "query_encode_", "query_search_")
# What the lexical system below waits, in ms, and twice what its BM25 waits.
KNOWN = {
    "query_latency_p50_ms": pytest.approx(0.6, abs=0.1),
    "query_tokenise_latency_p50_ms": pytest.approx(0.2, abs=0.05),
    "query_search_latency_p50_ms": pytest.approx(0.4, abs=0.05),
    "latency_ratio_bm25_p50": pytest.approx(2.0, rel=0.1),
    "latency_ratio_matched_p50": pytest.approx(2.0, rel=0.1),
}


@pytest.fixture(scope="module")
def mini():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baseline, "mini_bm25", lambda: waiting_path(search_ms=0.05))
        yield load("mini", corpus=False)


def recorded(system, paths, mini, expected):
    """A session whose published figures are as expected, unless every attempt fails."""
    found = References(paths, matched_sum(system))
    return steady(lambda: record(system, mini, QUICK, Progress(), found), figures_named(expected), expected)


def figures_named(names):
    return lambda one: {name: findings(one, PASSED).metrics[name] for name in names}


@pytest.fixture(scope="module")
def lexical(mini):
    """A system that tokenises for 0.2 ms and searches for 0.4, beside a BM25 that takes 0.1 and 0.2."""
    system = replace(waiting_path(search_ms=0.4), tokenise=wait_ms(0.2))
    bm25 = replace(waiting_path(search_ms=0.2), tokenise=wait_ms(0.1))
    return recorded(system, {"bm25": bm25}, mini, KNOWN)


def test_it_works(lexical):
    assert figures_named(KNOWN)(lexical) == KNOWN
    assert findings(lexical, PASSED).metrics["latency_samples"] == 1000


def test_each_part_has_its_quantiles_and_a_reason_where_there_is_none(lexical):
    found = findings(lexical, PASSED)
    for part in PARTS:
        assert found.metrics[f"{part}latency_p95_ms"] >= found.metrics[f"{part}latency_p50_ms"]
        assert found.metrics[f"{part}latency_mean_ms"] >= 0
        assert found.metrics[f"{part}latency_p99_ms"] is None
        assert found.reasons[f"{part}latency_p99_ms"] == "1,000 samples; a p99 needs 10,000"


def test_intervals_stand_beside_the_values_they_are_of(lexical):
    found = findings(lexical, PASSED)
    for name, (low, high) in found.details["intervals"].items():
        assert low <= found.metrics[name] <= high
    assert {"query_latency_p50_ms", "latency_ratio_matched_p50"} <= set(found.details["intervals"])


def test_a_report_says_that_a_small_query_set_was_looped_and_in_which_order(lexical, mini):
    queries = findings(lexical, PASSED).details["queries"]
    distinct = len(set(mini.queries.values()))
    assert queries == {"distinct": distinct, "timed": 1000, "looped": True, "seed": 6}


def test_the_harness_itself_is_measured_in_the_session(lexical):
    assert findings(lexical, PASSED).details["harness_overhead_p50_us"] < 20


def test_a_session_that_fails_a_gate_publishes_its_rejection_and_no_metric(lexical):
    found = findings(lexical, [variation_gate("bm25", 0.09, 0.01)])
    assert found.metrics == {}
    assert found.details["rejected"] == (
        "the p50 of the reference bm25 varied by 9.0% between blocks (limit 5%)"
    )
    assert "intervals" not in found.details
    json.dumps(found.details, allow_nan=False)


def test_a_neural_system_is_matched_with_the_encoder_and_the_scan(mini):
    system = replace(waiting_path(encode_ms=0.9, search_ms=0.3), encoder="neural", index="dense")
    paths = {
        "bm25": waiting_path(search_ms=0.1),
        "encoder": waiting_path(encode_ms=0.6),
        "scan": waiting_path(search_ms=0.2),
    }
    expected = {
        "latency_ratio_matched_p50": pytest.approx(1.2 / 0.8, rel=0.1),
        "latency_ratio_bm25_p50": pytest.approx(1.2 / 0.1, rel=0.1),
    }
    assert figures_named(expected)(recorded(system, paths, mini, expected)) == expected


@pytest.mark.parametrize(
    ("encoder", "index", "parts"),
    [
        ("none", "sparse", "bm25 tokenise+encode + bm25 search"),
        ("table", "sparse", "bm25 tokenise+encode + bm25 search"),
        ("neural", "sparse", "encoder tokenise+encode + bm25 search"),
        ("neural", "dense", "encoder tokenise+encode + scan search"),
        ("neural", "multi-vector", "encoder tokenise+encode + scan search"),
        ("table", "dense", "bm25 tokenise+encode + scan search"),
    ],
)
def test_each_part_of_a_system_has_its_reference(encoder, index, parts):
    assert str(matched_sum(replace(empty_path(), encoder=encoder, index=index))) == parts


def test_without_the_encoders_model_there_is_no_matched_ratio_and_the_row_says_so(mini):
    system = replace(waiting_path(search_ms=0.1), encoder="neural", index="dense")
    absent = {"encoder": "the reference model is not on this machine"}
    found = References({"bm25": waiting_path(search_ms=0.1)}, matched_sum(system), absent)
    result = findings(record(system, mini, QUICK, Progress(), found), PASSED)
    assert result.metrics["latency_ratio_matched_p50"] is None
    assert result.reasons["latency_ratio_matched_p50"] == absent["encoder"]
    assert result.metrics["latency_ratio_bm25_p50"] is not None


def gate_states(one, stored):
    return {gate.name: gate.state for gate in session_gates(one, stored)}


def test_a_session_is_compared_with_the_hosts_baseline(lexical):
    key = f"{key_of('bm25', empty_path(), threads=1)} p50"
    took = lexical.calibration[key]
    well = Baseline(lexical.host.hash, {key: took * 1.05}, "2026-01-01")
    slow = Baseline(lexical.host.hash, {key: took / 1.2}, "2026-01-01")
    assert gate_states(lexical, well)[f"{key} against baseline"] == "passed"
    assert gate_states(lexical, slow)[f"{key} against baseline"] == "failed"
    assert gate_states(lexical, None)[f"{key} against baseline"] == "unknown"


def test_a_load_that_begins_after_the_first_calibration_is_seen_by_the_second(mini, monkeypatch):
    """It slows each block alike, so that nothing varies: here BM25 takes ten times as long from then on."""
    begun = []

    def loaded(given):
        return wait_ms(0.5 if begun else 0.05)(given)

    monkeypatch.setattr(baseline, "mini_bm25", lambda: replace(empty_path(), search=loaded))
    system = replace(empty_path(), search=begun.append)
    found = References({"bm25": waiting_path(search_ms=0.2)}, matched_sum(system))
    one = record(system, mini, QUICK, Progress(), found)
    key = f"{key_of('bm25', empty_path(), threads=1)} p50"
    assert one.calibration[key] >= 0.05
    assert one.calibration_after[key] >= 0.5
    states = gate_states(one, Baseline(one.host.hash, one.calibration, "2026-01-01"))
    assert states[f"{key} against baseline"] == "passed"
    assert states[f"{key} against baseline, after the loop"] == "failed"
    details = findings(one, PASSED).details
    assert details["calibration_ms"] == one.calibration
    assert details["calibration_after_ms"] == one.calibration_after


@pytest.mark.parametrize(("distinct", "looped"), [(1049, True), (1050, False)])
def test_queries_that_warmed_up_and_are_timed_again_are_looped_too(lexical, distinct, looped):
    """50 of the warm-up and 1,000 that are timed."""
    assert replace(lexical, distinct_queries=distinct).looped is looped


def test_what_the_harness_costs_is_a_gate(lexical):
    slow = replace(lexical.recordings["empty"], blocks=(np.full((10, 20, 3), 7_000),) * 5)  # 21 us a query
    costly = replace(lexical, recordings={**lexical.recordings, "empty": slow})
    assert costly.overhead_us == pytest.approx(21.0)
    assert gate_states(costly, None)["harness overhead"] == "failed"
    assert gate_states(lexical, None)["harness overhead"] == "passed"


def test_a_processor_has_no_gates_of_a_card(lexical):
    assert not {"shared card", "card throttling"} & set(gate_states(lexical, None))


def test_a_calibration_has_five_chunks_and_goes_on_for_a_second(monkeypatch):
    asked = []
    path = replace(empty_path(), search=lambda _: asked.append(None))
    baseline.calibrate({"bm25": path}, threads=1)
    assert len(asked) == 50 + 5 * 20  # warm-up, and where a second is over at once
    monkeypatch.setattr(baseline, "LEAST_NS", LEAST_NS)
    started = time.perf_counter()
    baseline.calibrate({"bm25": path}, threads=1)
    assert time.perf_counter() - started >= 1.0


def test_a_baseline_of_another_host_fails_instead_of_passing_as_unknown(lexical):
    other = Baseline("0" * 12, {"bm25 cpu 1 p50": 1e-9, "bm25 cpu 1 mean": 1e-9}, "2026-01-01")
    [gate] = [gate for gate in session_gates(lexical, other) if gate.name.endswith("against baseline")]
    assert gate.state == "failed"
    assert "host profile 000000000000" in gate.said


def test_a_precision_that_the_baseline_lacks_fails_and_without_a_baseline_is_unknown(lexical):
    bf16 = replace(lexical, calibration={"encoder cpu 1 bf16 p50": 5.0})
    fp32 = Baseline(lexical.host.hash, {"encoder cpu 1 fp32 p50": 5.0}, "2026-01-01")
    assert gate_states(bf16, fp32)["encoder cpu 1 bf16 p50 against baseline"] == "failed"
    assert gate_states(bf16, None)["encoder cpu 1 bf16 p50 against baseline"] == "unknown"


def test_host_threads_engine_and_loop_are_part_of_the_protocol(lexical, mini):
    facts = lexical.protocol_facts()
    first = latency_protocol(mini, facts)
    assert first.hash == latency_protocol(mini, dict(facts)).hash
    assert facts["host_profile"] == host_profile().hash
    assert set(facts) == set(SESSION_FACTS)
    for name, value in [("host_profile", "other"), ("threads", 2), ("k", 100), ("engine", "hnsw")]:
        assert latency_protocol(mini, {**facts, name: value}).hash != first.hash


def test_a_dataset_without_a_corpus_has_no_bm25_to_compare_with(mini):
    with pytest.raises(EvaluationError, match="DATASET-CORPUS"):
        session.record(waiting_path(), mini, QUICK, Progress())


def test_a_baseline_is_read_as_it_was_written(tmp_path):
    profile = HostProfile({"cpu": "x"}, {"python": "3"})
    written = Baseline(profile.hash, {"scan cpu 1 p50": 12.5}, "2026-01-01T00:00:00")
    written.write(tmp_path / "new" / "baseline.json", profile)
    assert read_baseline(tmp_path / "new" / "baseline.json") == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": 2}',
        '{"schema": 1, "host": {"hash": "x"}, "measured": "", "times_ms": {"a": 0}}',
    ],
)
def test_a_file_that_is_no_baseline_is_refused_with_how_to_make_one(tmp_path, text):
    (tmp_path / "baseline.json").write_text(text)
    with pytest.raises(EvaluationError, match=r"BASELINE.*python -m evaluations host --write"):
        read_baseline(tmp_path / "baseline.json")
