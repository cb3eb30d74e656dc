"""An attempt from claim to board, in this process, with the evaluator in its own."""

import hashlib
import json
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import OperationalError, connection
from django.utils import timezone

from evaluations.systems.locations import fetch
from leaderboard.boards.models import Entry, Measurement
from leaderboard.catalog.members import Part
from leaderboard.catalog.models import Dataset, RevisionFile
from leaderboard.submissions import lifecycle
from leaderboard.submissions.models import Artefact, Evaluation, Submission, Track
from workers import host, runner, tasks, workspace

pytestmark = pytest.mark.django_db(transaction=True)


def evaluate(submission: Submission) -> Evaluation:
    """Deliver the hint, and say what became of the retrieval evaluation."""
    tasks.evaluate(str(row(submission).pk))
    return row(submission)


def row(submission: Submission) -> Evaluation:
    return submission.evaluations.get(track="retrieval")


def wait_for(submission: Submission, stage: str) -> None:
    deadline = time.monotonic() + 20
    while row(submission).stage != stage:
        assert time.monotonic() < deadline, f"no {stage}: {row(submission).log}"
        time.sleep(0.1)


@pytest.fixture
def later():
    """Run a deed in a thread, as another process would do it."""
    threads: list[threading.Thread] = []

    def start(deed) -> None:
        def run() -> None:
            try:
                deed()
            finally:
                connection.close()

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(30)


def test_it_works_from_the_hint_to_the_board_and_a_second_hint_changes_nothing(submit):
    submission = submit()
    done = evaluate(submission)
    assert (done.state, done.error_message, done.attempts, done.fence) == ("succeeded", "", 1, 1)
    assert {each.state for each in submission.evaluations.all()} == {"succeeded"}
    # q1 "purring cat" finds d1 (grade 2) and d2 (1) in this order, q2 finds d3 (1): nDCG is 1 for both.
    assert Measurement.objects.get(metric="nDCG@10").value == 1.0
    assert Measurement.objects.get(metric="document_active_dims_mean").evaluation.track == "sparsity"
    assert Entry.objects.get(submission=submission).average == 1.0
    before = list(submission.evaluations.order_by("pk").values())
    evaluate(submission)
    tasks.evaluate(str(submission.evaluations.get(track="sparsity").pk))
    assert list(submission.evaluations.order_by("pk").values()) == before


def test_what_an_evaluation_leaves_is_stored_and_names_no_folder_of_this_worker(submit, pets, var):
    done = evaluate(submit())
    found = {each.name: each for each in Artefact.objects.all()}
    assert set(found) == {"report.json", "run.trec.gz", "per_query.parquet"}
    for name, artefact in found.items():
        assert artefact.file.name == f"evaluations/{done.pk}/1/{name}"
        content = (var / "artefacts" / artefact.file.name).read_bytes()
        assert (artefact.size_bytes, artefact.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert str(var) not in found["report.json"].file.read().decode() + done.log
    assert list(workspace.attempts_folder().iterdir()) == []
    blind = workspace.blind_folder(pets.pk)
    assert sorted(path.name for path in blind.rglob("*")) == ["corpus.jsonl", "dataset.json", "queries.jsonl"]


def test_what_the_submitter_must_mend_fails_at_once_with_the_evaluators_words(submit):
    failed = evaluate(submit("wrong:config.json has auto_map"))
    assert (failed.state, failed.error_code) == ("failed", "MODEL-CONFIG")
    assert failed.error_message == "config.json has auto_map"
    assert failed.attempts == 1


def test_a_crash_fails_at_once_and_keeps_the_last_lines_of_the_log(submit):
    failed = evaluate(submit("crash"))
    assert (failed.state, failed.error_code) == ("failed", "EVALUATOR-CRASHED")
    assert "searching" in failed.log
    assert "a line before" in failed.log


def test_people_see_stage_and_share_while_it_runs(submit, later):
    submission = submit("hang")
    later(lambda: tasks.evaluate(str(row(submission).pk)))
    wait_for(submission, "encoding")
    seen = row(submission)
    assert (seen.progress, seen.worker) == (0.61, host.WORKER)
    assert seen.lease_until > timezone.now()
    lifecycle.cancel(submission, submission.owner)


def test_a_cancel_stops_the_evaluator(submit, later):
    submission = submit("hang")

    def cancel() -> None:
        wait_for(submission, "encoding")
        lifecycle.cancel(submission, submission.owner)

    later(cancel)
    started = time.monotonic()
    assert evaluate(submission).state == "cancelled"
    assert time.monotonic() - started < 15  # the stand-in would hang for two minutes


def test_a_worker_whose_lease_was_taken_over_stops_and_writes_nothing(submit, later):
    submission = submit("hang")

    def take_over() -> None:
        wait_for(submission, "encoding")
        past = timezone.now() - timedelta(seconds=1)
        assert submission.evaluations.update(lease_until=past) == 2
        assert lifecycle.claim(row(submission).pk, "another")

    later(take_over)
    taken = evaluate(submission)
    assert (taken.state, taken.worker, taken.fence) == ("running", "another", 2)


def test_a_shutdown_gives_the_rows_back_without_counting_the_attempt(submit, later):
    submission = submit("hang")

    def shut_down() -> None:
        wait_for(submission, "encoding")
        host.stopping.set()

    later(shut_down)
    released = evaluate(submission)
    assert (released.state, released.attempts, released.published_at) == ("queued", 0, None)


def test_a_worker_that_is_already_stopping_gives_back_what_it_claims(submit):
    host.stopping.set()
    assert evaluate(submit()).state == "queued"


def test_data_that_is_not_the_boards_fails_and_is_not_kept(submit, pets):
    submission = submit()
    Dataset.objects.update(corpus_checksum="f" * 64)
    failed = evaluate(submission)
    assert (failed.state, failed.error_code) == ("failed", "DATASET-CHANGED")
    assert "ffffffffffff" in failed.error_message
    assert not workspace.blind_folder(pets.pk).exists()


def test_a_dataset_that_is_missing_on_the_worker_is_not_the_submitters_fault(submit, var):
    submission = submit()
    Dataset.objects.update(source=str(var / "nowhere"))
    failed = evaluate(submission)
    assert failed.error_code == "DATASET-UNAVAILABLE"
    assert "pets on this worker" in failed.error_message


def test_a_link_in_place_of_the_report_is_not_followed(submit, var):
    secret = var / "secret-key"
    secret.write_text("hidden")
    failed = evaluate(submit(f"link:{secret}"))
    assert failed.error_code == "EVALUATOR-OUTPUT"
    assert not Artefact.objects.exists()


def test_a_lost_database_or_disk_leaves_the_row_to_the_next_attempt(submit, monkeypatch):
    def fail(*_) -> None:
        raise OperationalError("server closed the connection")

    submission = submit()
    with monkeypatch.context() as patch:
        patch.setattr(runner, "run", fail)
        assert evaluate(submission).state == "running"
    Evaluation.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    done = evaluate(submission)
    assert (done.state, done.fence, done.attempts) == ("succeeded", 2, 2)
    assert {each.file.name.split("/")[2] for each in Artefact.objects.all()} == {"2"}


def test_a_bug_of_ours_fails_at_once_and_keeps_its_text_to_our_log(submit, monkeypatch, caplog):
    def fail(*_) -> None:
        raise ZeroDivisionError("a detail nobody else should see")

    monkeypatch.setattr(runner, "run", fail)
    failed = evaluate(submit())
    assert (failed.state, failed.error_code) == ("failed", "INTERNAL")
    assert "a detail" not in failed.error_message
    assert "a detail" in caplog.text


def upload(submission: Submission, dataset: Dataset, content: bytes, *, digest: str = "") -> None:
    RevisionFile.objects.create(
        revision=submission.revision,
        dataset=dataset,
        file=default_storage.save("uploads/pets.run", ContentFile(content)),
        sha256=digest or hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
    )


def test_an_uploaded_run_is_scored(submit, pets):
    submission = submit(kind="run", version="sha256:0123456789abcdef", options={"exhausted": True})
    upload(submission, pets, b"q1 Q0 d2 1 2.0 x\nq1 Q0 d1 2 1.0 x\nq2 Q0 d3 1 1.0 x\n")
    done = evaluate(submission)
    assert (done.state, done.error_message) == ("succeeded", "")
    # q1 has d2 (grade 1) before d1 (grade 2): (1 + 2 / log2(3)) / (2 + 1 / log2(3)) = 0.8597; q2 has 1.
    assert Measurement.objects.get(metric="nDCG@10").value == pytest.approx((0.8597 + 1) / 2, abs=1e-4)
    report = json.loads(Artefact.objects.get(name="report.json").file.read())
    assert report["system"]["revision"] == "sha256:0123456789abcdef"
    assert "--system run:pets.trec " in report["provenance"]["command"]


def test_a_stored_upload_that_is_not_what_was_submitted_is_refused(submit, pets):
    submission = submit(kind="run")
    upload(submission, pets, b"q1 Q0 d1 1 1.0 x\n", digest="0" * 64)
    assert evaluate(submission).error_code == "REVISION-MISMATCH"


def test_a_run_without_a_file_for_the_dataset_says_so(submit):
    failed = evaluate(submit(kind="run"))
    assert (failed.error_code, failed.state) == ("RUN-MISSING", "failed")
    assert "pets" in failed.error_message


def test_a_fusion_of_a_run_and_bm25_is_evaluated_and_named_as_it_was_submitted(submit, pets, var):
    run = submit(kind="run", version="sha256:0123456789abcdef")
    upload(run, pets, b"q1 Q0 d2 1 2.0 x\nq1 Q0 d1 2 1.0 x\nq2 Q0 d3 1 1.0 x\n")
    part = Part("run", "", run.revision.version, {"exhausted": True}, revision=run.revision.pk, name="Mine")
    members = [part.to_json(), Part("bm25", options={"k1": 0.9}).to_json()]
    options = {"method": "rrf", "weights": "3,1"}
    done = evaluate(submit(kind="fusion", members=members, options=options))
    assert (done.state, done.error_message) == ("succeeded", "")
    # The run's weight decides: q1 has d2 (grade 1) before d1 (grade 2), as in the run alone.
    assert Measurement.objects.get(metric="nDCG@10").value == pytest.approx((0.8597 + 1) / 2, abs=1e-4)
    stored = Artefact.objects.get(name="report.json").file.read().decode()
    report = json.loads(stored)
    assert str(var) not in stored + done.log
    found = report["system"]["members"]
    assert [(each["kind"], each["location"], each["revision"]) for each in found] == [
        ("run", None, "sha256:0123456789abcdef"), ("bm25", None, None)
    ]  # fmt: skip
    assert "--system fusion.json" in report["provenance"]["command"]
    assert report["tracks"]["sparsity"]["members"][1]["part"] == "member 2 (bm25)"


def test_a_member_whose_file_is_gone_is_said(submit, pets):
    run = submit(kind="run")
    members = [Part("run", revision=run.revision.pk, name="Mine").to_json(), Part("bm25").to_json()]
    failed = evaluate(submit(kind="fusion", members=members))
    assert (failed.error_code, failed.state) == ("RUN-MISSING", "failed")


def test_a_rerankers_model_and_its_first_stages_are_both_fetched(submit, settings, var):
    for name in ("cross", "dense"):
        (var / "models" / "org" / name).mkdir(parents=True)
        (var / "models" / "org" / name / "config.json").write_text("{}")
    settings.MODELS = str(var / "models")

    def reranked_over(version: str) -> Evaluation:
        first = Part("dense", "org/dense", version, {"precision": "fp32"})
        fields = {"location": "org/cross", "version": pinned("cross"), "members": [first.to_json()]}
        return evaluate(submit(kind="rerank", **fields))

    def pinned(name: str) -> str:
        return fetch(str(var / "models" / "org" / name), allow_path=True).revision

    found = reranked_over(pinned("dense"))
    assert (found.error_code, found.state) == ("MODEL-WEIGHTS", "failed")
    assert found.error_message.startswith("cross has no .safetensors file")  # so it was there to be read
    other = reranked_over("sha256:0123456789abcdef")
    assert (other.error_code, other.state) == ("REVISION-MISMATCH", "failed")
    assert "org/dense" in other.error_message


def test_folders_of_killed_workers_are_removed_and_those_of_live_ones_stay(var: Path):
    abandoned = workspace.attempts_folder() / "abandoned"
    abandoned.mkdir(parents=True)
    (abandoned / workspace.LOCK).touch()
    with workspace.attempt_folder() as live:
        assert workspace.remove_abandoned() == 1
        assert live.is_dir()
    assert not abandoned.exists()


def test_a_claim_of_sparsity_alone_is_measured_alone(submit):
    submission = submit()
    submission.evaluations.filter(track=Track.RETRIEVAL).delete()
    tasks.evaluate(str(submission.evaluations.get().pk))
    done = submission.evaluations.get()
    assert (done.state, done.error_message) == ("succeeded", "")
    assert not Measurement.objects.filter(metric="nDCG@10").exists()
