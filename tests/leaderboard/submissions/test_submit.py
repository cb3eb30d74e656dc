"""Creating submissions from what was found right."""

import hashlib
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.utils import timezone

from leaderboard.catalog.models import Revision, RevisionFile, System
from leaderboard.submissions import submit, validation
from leaderboard.submissions.models import AuditEvent, Evaluation, State, Submission
from tests.factories import make_benchmark, make_revision, make_submission, make_system, make_user

from .submitting import COMMIT, RUN, upload

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("recorder", "storage")]


def bm25(benchmark="pets", name="BM25", **fields):
    return submit.validate(submit.SubmissionRequest(benchmark=benchmark, kind="bm25", name=name, **fields))


def run(benchmark="pets", name="My run", content=RUN, **fields):
    files = {"pets": upload(content)}
    request = submit.SubmissionRequest(benchmark=benchmark, kind="run", name=name, files=files, **fields)
    return submit.validate(request)


def test_it_works(alice, pets):
    submission = submit.create(alice, bm25(organisation="Acme", note="first try"))

    assert submission.owner == alice
    assert submission.benchmark == pets
    assert submission.note == "first try"
    assert submission.revision.system.name == "BM25"
    assert submission.revision.system.family == "lexical"
    assert submission.revision.system.organisation == "Acme"
    assert submission.revision.kind == "bm25"
    assert submission.revision.options["k1"] == 1.5
    assert [
        (each.dataset.name, each.track, each.state) for each in submission.evaluations.order_by("track")
    ] == [
        ("pets", "latency", "queued"),
        ("pets", "retrieval", "queued"),
        ("pets", "sparsity", "queued"),
    ]
    assert [(event.action, event.actor) for event in submission.events.all()] == [("submit", alice)]


def test_latency_can_be_left_out_and_asked_for_later(alice, pets):
    first = submit.create(alice, bm25(tracks="retrieval,sparsity"))
    assert set(first.evaluations.values_list("track", flat=True)) == {"retrieval", "sparsity"}
    second = submit.create(alice, bm25())
    assert second.revision == first.revision
    assert set(second.evaluations.values_list("track", flat=True)) == {"retrieval", "sparsity", "latency"}
    with pytest.raises(submit.Refused):
        submit.create(alice, bm25(tracks="retrieval"))  # the second measures that too


@pytest.mark.parametrize(
    ("tracks", "said"),
    [("retrieval,speed", "has no track 'speed'"), ("sparsity", "retrieval track is always measured")],
)
def test_tracks_that_a_kind_lacks_and_rows_without_quality_are_refused(alice, pets, tracks, said):
    with pytest.raises(submit.Refused, match=said):
        bm25(tracks=tracks)


def test_a_run_is_stored_with_its_hash(alice, pets):
    submission = submit.create(alice, run())

    [stored] = submission.revision.uploads.all()
    assert stored.dataset.name == "pets"
    assert stored.sha256 == hashlib.sha256(RUN.encode()).hexdigest()
    assert stored.size_bytes == len(RUN)
    assert stored.file.read() == RUN.encode()
    assert stored.file.name.endswith("/pets.trec")
    assert submission.revision.files == {"pets.trec": stored.sha256}


def test_a_model_is_stored_pinned(alice, pets, known_model, monkeypatch):
    dense = _fake_dense(monkeypatch)
    request = submit.SubmissionRequest(benchmark="pets", kind=dense, name="Mine", location=known_model)

    revision = submit.create(alice, submit.validate(request)).revision

    assert (revision.location, revision.version) == ("org/model", COMMIT)


@pytest.mark.parametrize(("device", "precision"), [("cpu", "fp32"), ("gpu", "bf16")])
def test_auto_is_stored_as_the_precision_it_stands_for(
    alice, pets, known_model, monkeypatch, device, precision
):
    monkeypatch.setattr("evaluations.systems.devices._flags", lambda _: frozenset({"avx2"}))
    kind = replace(validation.KINDS["dense"], pin=lambda spec, **_: replace(spec, revision=COMMIT))
    monkeypatch.setattr(validation, "WEB_KINDS", {**validation.WEB_KINDS, "dense": kind})
    request = submit.SubmissionRequest(
        benchmark="pets", kind="dense", name="Mine", location=known_model, device=device,
        options={"precision": "auto"},
    )  # fmt: skip
    plan = submit.validate(request).plan
    assert plan.options["precision"] == precision


def test_the_hint_goes_out_on_commit(alice, pets, recorder, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        submission = submit.create(alice, bm25())
        assert recorder.sent == []

    lead, timed = (submission.evaluations.get(track=track).pk for track in ("retrieval", "latency"))
    assert recorder.sent == [(lead, "retrieval.cpu"), (timed, "latency.cpu")]


def test_a_broker_that_is_down_does_not_stop_a_submission(
    alice, pets, recorder, django_capture_on_commit_callbacks
):
    recorder.patience = 0

    with django_capture_on_commit_callbacks(execute=True):
        submission = submit.create(alice, bm25())

    assert submission.state == State.QUEUED
    assert set(submission.evaluations.values_list("published_at", flat=True)) == {None}


def test_a_revision_is_reused_and_its_files_are_stored_once(alice, pets, storage):
    first = submit.create(alice, run())
    make_benchmark("more-pets", [pets.datasets.get()])

    second = submit.create(alice, run(benchmark="more-pets"))

    assert second.revision == first.revision
    assert RevisionFile.objects.count() == 1
    assert [path.read_text() for path in storage.rglob("*.trec")] == [RUN]


def test_new_options_are_a_new_revision_of_the_same_system(alice, pets):
    first = submit.create(alice, bm25())
    second = submit.create(alice, bm25(options={"k1": 0.9}))

    assert first.revision != second.revision
    assert first.revision.system == second.revision.system


def test_what_is_said_of_a_system_later_replaces_what_was_said_before_but_nothing_does_not(alice, pets):
    submit.create(alice, bm25(organisation="Acme", licence="MIT"))
    submit.create(alice, bm25(options={"b": 0.4}, licence="Apache-2.0"))

    system = System.objects.get()
    assert (system.organisation, system.licence) == ("Acme", "Apache-2.0")


def test_the_same_again_is_refused_with_a_link_to_the_first(alice, pets, nothing_stored):
    first = submit.create(alice, run())
    validated = run(name="Under another name")

    with nothing_stored(), pytest.raises(submit.Refused, match="exactly this before") as refusal:
        submit.create(alice, validated)

    assert refusal.value.existing == first


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_what_came_to_nothing_may_be_sent_again(alice, pets, state):
    submit.create(alice, bm25()).evaluations.update(state=state)

    submit.create(alice, bm25())

    assert Submission.objects.count() == 2
    assert Revision.objects.count() == 1


def test_charlie_may_send_what_alice_sent(alice, charlie, pets):
    submit.create(alice, run())
    submit.create(charlie, run())

    assert System.objects.count() == 2


def test_a_name_of_another_kind_is_taken(alice, pets, nothing_stored):
    submit.create(alice, bm25(name="Tiger"))
    validated = run(name="Tiger")

    with nothing_stored(), pytest.raises(submit.Refused, match="choose another name") as refusal:
        submit.create(alice, validated)

    assert list(refusal.value.errors) == ["name"]


def test_a_day_has_a_limit(alice, charlie, pets, settings, nothing_stored):
    settings.SUBMISSIONS_PER_DAY = 2
    submit.create(alice, bm25())
    submit.create(alice, bm25(options={"k1": 1}))
    third = bm25(options={"k1": 2})

    with nothing_stored(), pytest.raises(submit.Refused, match="limit"):
        submit.create(alice, third)
    submit.create(charlie, third)


def test_yesterdays_submissions_do_not_count(alice, pets, settings):
    settings.SUBMISSIONS_PER_DAY = 1
    submit.create(alice, bm25())
    Submission.objects.update(created_at=timezone.now() - timedelta(hours=25))

    submit.create(alice, bm25(options={"k1": 1}))
    assert Submission.objects.count() == 2


def test_the_same_key_and_request_return_the_submission_that_is_there(alice, pets, nothing_stored):
    first = submit.create(alice, run(), idempotency_key="k-1")

    with nothing_stored():
        assert submit.create(alice, run(), idempotency_key="k-1") == first


@pytest.mark.parametrize(
    "change", [{"content": RUN + "q2 Q0 d1 2 1 cats\n"}, {"note": "x"}, {"options": {"exhausted": True}}]
)
def test_the_same_key_with_another_request_is_a_conflict(alice, pets, nothing_stored, change):
    first = submit.create(alice, run(), idempotency_key="k-1")
    other = run(**change)

    with nothing_stored(), pytest.raises(submit.IdempotencyConflict) as refusal:
        submit.create(alice, other, idempotency_key="k-1")

    assert refusal.value.existing == first


def test_keys_of_two_people_do_not_meet(alice, charlie, pets):
    first = submit.create(alice, bm25(), idempotency_key="k-1")
    second = submit.create(charlie, bm25(), idempotency_key="k-1")

    assert first != second


@pytest.mark.parametrize("key", ["k" * 81, "k\n", "schlüssel"])
def test_an_unfit_key_is_refused(alice, pets, nothing_stored, key):
    validated = bm25()
    with nothing_stored(), pytest.raises(submit.Refused, match="printable ASCII"):
        submit.create(alice, validated, idempotency_key=key)


def test_files_are_removed_where_the_transaction_fails(alice, pets, monkeypatch, nothing_stored):
    validated = run()

    def broken(*_args, **_fields):
        raise RuntimeError("the database went away")

    monkeypatch.setattr(AuditEvent.objects, "create", broken)
    with nothing_stored(), pytest.raises(RuntimeError):
        submit.create(alice, validated)


def test_the_expected_time_is_the_median_of_earlier_ones_of_this_kind_and_dataset(alice, pets):
    for seconds in (10, 14, 90):
        _succeeded(pets, seconds=seconds)
    _succeeded(pets, seconds=5000, kind="dense")
    _succeeded(make_benchmark(), seconds=7000)

    submission = submit.create(alice, bm25())

    expected = dict(submission.evaluations.values_list("track", "expected_seconds"))
    assert expected == {"retrieval": 14.0, "sparsity": 14.0, "latency": None}


def test_without_earlier_ones_no_time_is_expected(alice, pets):
    assert set(submit.create(alice, bm25()).evaluations.values_list("expected_seconds", flat=True)) == {None}


@pytest.mark.parametrize("who", ["alice", "staff"])
def test_the_owner_and_the_staff_may_run_it_again(alice, pets, who):
    first = submit.create(alice, bm25(note="n"))
    first.evaluations.update(state=State.FAILED)
    actor = alice if who == "alice" else make_user("dora", is_staff=True)

    again = submit.rerun(first, actor)

    assert again != first
    assert (again.owner, again.revision, again.rerun_of, again.note) == (alice, first.revision, first, "n")
    assert again.evaluations.count() == 3
    assert again.state == State.QUEUED
    assert [(event.action, event.actor) for event in again.events.all()] == [("rerun", actor)]


def test_charlie_may_not_run_it_again(alice, charlie, pets, nothing_stored):
    first = submit.create(alice, bm25())
    first.evaluations.update(state=State.SUCCEEDED)

    with nothing_stored(), pytest.raises(PermissionDenied):
        submit.rerun(first, charlie)


def test_what_is_on_its_way_is_not_run_again(alice, pets, nothing_stored):
    first = submit.create(alice, bm25())
    first.evaluations.update(state=State.SUCCEEDED)
    again = submit.rerun(first, alice)

    with nothing_stored(), pytest.raises(submit.Refused, match="still on its way") as refusal:
        submit.rerun(first, alice)

    assert refusal.value.existing == again


def test_running_again_counts_for_the_owner_but_not_for_the_staff(alice, pets, settings):
    settings.SUBMISSIONS_PER_DAY = 1
    first = submit.create(alice, bm25())
    first.evaluations.update(state=State.SUCCEEDED)

    with pytest.raises(submit.Refused, match="limit"):
        submit.rerun(first, alice)
    submit.rerun(first, make_user("dora", is_staff=True))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("key", ["double-click", None])
def test_two_identical_posts_at_once_make_one_submission(alice, pets, key):
    together = threading.Barrier(2)
    answers: list[object] = []

    def post(each):
        together.wait()
        try:
            answers.append(submit.create(alice, each, idempotency_key=key).pk)
        except submit.Refused as refusal:
            answers.append(refusal.existing.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=post, args=(bm25(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [Submission.objects.get().pk] * 2
    assert Evaluation.objects.count() == 3


def _succeeded(benchmark, *, seconds, kind="bm25"):
    submission = make_submission(
        benchmark=benchmark, revision=make_revision(make_system(), kind=kind), state=State.SUCCEEDED
    )
    end = timezone.now()
    submission.evaluations.update(started_at=end - timedelta(seconds=seconds), finished_at=end)


def _fake_dense(monkeypatch) -> str:
    """A kind that takes a model, so that this test needs none of the real ones."""
    bm25_kind = validation.KINDS["bm25"]
    kind = replace(bm25_kind, name="encoder", title="Encoder", family="dense", takes="model", options=())
    monkeypatch.setitem(validation.KINDS, "encoder", kind)
    monkeypatch.setattr(validation, "WEB_KINDS", {**validation.WEB_KINDS, "encoder": kind})
    return "encoder"
