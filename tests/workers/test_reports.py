"""What a report must say before it is published."""

import uuid
from dataclasses import replace

import pytest

from evaluations.errors import EvaluationFailed
from evaluations.report import Report
from evaluations.tracks import Findings
from leaderboard.catalog.models import Dataset, Revision
from leaderboard.submissions.lifecycle import Claim
from leaderboard.submissions.models import Submission, Track
from workers import reports

CORPUS, QUERIES, QRELS = "c" * 64, "d" * 64, "e" * 64
KEY = uuid.UUID("11111111-1111-4111-8111-111111111111")


@pytest.fixture
def dataset() -> Dataset:
    return Dataset(
        name="pets", source="/srv/data/pets", protocol="abcabcabcabc",
        corpus_checksum=CORPUS, queries_checksum=QUERIES, qrels_checksum=QRELS,
    )  # fmt: skip


def claim(*tracks: Track) -> Claim:
    keys = {track: uuid.uuid4() for track in tracks or (Track.RETRIEVAL,)}
    return Claim(KEY, KEY, "worker-1", 2, keys, dict.fromkeys(keys.values(), 1))


def report(protocol: str = "abcabcabcabc", **checksums: str | None) -> Report:
    return Report(
        system={"kind": "dense", "location": "/tmp/fetched", "revision": "sha256:0", "options": {}},
        dataset={
            "name": "1234",
            "checksums": {"corpus": CORPUS, "queries": QUERIES, "qrels": QRELS} | checksums,
        },
        protocol={"retrieval": {"hash": protocol}},
        provenance={"command": "python -m evaluations measure --system /tmp/fetched"},
        tracks={"retrieval": Findings({"nDCG@10": 0.5})},
    )


def submission(**fields) -> Submission:
    defaults = {"kind": "bm25", "options": {}}
    return Submission(revision=Revision(**defaults | fields), device="cpu")


def test_a_report_names_the_system_as_it_was_submitted_and_the_command_that_repeats_it(db, dataset):
    dense = submission(kind="dense", location="org/model", version="a" * 40)
    found = reports.publishable(report(), claim(), dense, dataset)
    assert (found.system["location"], found.system["revision"]) == ("org/model", "a" * 40)
    assert found.dataset["name"] == "pets"
    assert (found.provenance["worker"], found.provenance["attempt"]) == ("worker-1", 2)
    command = found.provenance["command"]
    assert f"--system dense:org/model@{'a' * 40} " in command
    assert "/tmp/" not in command
    assert "\n" not in command


@pytest.mark.parametrize("name", ["corpus", "queries", "qrels"])
def test_other_data_than_the_boards_is_refused_by_name(dataset, name):
    with pytest.raises(EvaluationFailed, match=f"the {name} of pets") as raised:
        reports.publishable(report(**{name: "0" * 64}), claim(), submission(), dataset)
    assert raised.value.code == "DATASET-CHANGED"


def test_a_dataset_without_a_corpus_is_measured_without_one(dataset):
    dataset.corpus_checksum = ""
    reports.check_dataset(report(corpus=None), dataset, qrels=True)
    with pytest.raises(EvaluationFailed):
        reports.check_dataset(report(), dataset, qrels=True)


def test_the_process_without_the_qrels_is_not_asked_for_their_checksum(dataset):
    reports.check_dataset(report(qrels=None), dataset, qrels=False)


def test_another_protocol_than_the_boards_is_refused(dataset):
    with pytest.raises(EvaluationFailed, match="protocol 000000000000") as raised:
        reports.publishable(report(protocol="000000000000"), claim(), submission(), dataset)
    assert raised.value.code == "PROTOCOL-CHANGED"


def test_a_claimed_track_that_is_missing_is_refused(dataset):
    with pytest.raises(EvaluationFailed, match="lacks the sparsity track") as raised:
        reports.publishable(report(), claim(Track.RETRIEVAL, Track.SPARSITY), submission(), dataset)
    assert raised.value.code == "REPORT-INVALID"


def swept(asked: list[str]) -> Report:
    points = [
        {
            "value": None, "is_unmodified": True, "axis": 0.0, "level": 0.0, "metrics": {}, "code": None,
            "reason": None, "seconds": 0.0,
        }
    ]  # fmt: skip
    found = report()
    curves = [{"asked": text, "points": points} for text in asked]
    return replace(
        found,
        protocol={**found.protocol, "sparsity": {"hash": "0" * 12}},
        tracks={**found.tracks, "sparsity": Findings(details={"sweeps": curves})},
    )


@pytest.mark.parametrize("asked", [[], ["weights=0", "weights:random=0"], ["activations=0"]])
def test_a_report_with_other_curves_than_those_asked_for_is_not_published(dataset: Dataset, asked: list[str]):
    submission = Submission(revision=Revision(kind="dense"), sweeps=["weights=0"])
    with pytest.raises(EvaluationFailed, match="not those that were asked for"):
        reports.publishable(swept(asked), claim(Track.RETRIEVAL, Track.SPARSITY), submission, dataset)
