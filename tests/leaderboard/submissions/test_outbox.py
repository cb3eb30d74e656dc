"""Which hints are sent, what is noted on the rows, and a broker that is away while somebody submits."""

import os

import pytest
from django.db import transaction

from leaderboard import broker
from leaderboard.submissions import outbox
from leaderboard.submissions.models import Evaluation, State, Track
from tests.factories import make_benchmark, make_dataset, make_submission


def test_one_hint_a_group_goes_to_the_queue_of_its_track_and_device(db, recorder):
    tracks = (Track.RETRIEVAL, Track.SPARSITY, Track.LATENCY)
    submission = make_submission(tracks=tracks, device="gpu")
    outbox.publish_submission(submission.pk)
    ids = {each.track: each.pk for each in submission.evaluations.all()}
    assert set(recorder.sent) == {(ids["retrieval"], "retrieval.gpu"), (ids["latency"], "latency.gpu")}


def test_sparsity_without_retrieval_has_its_own_queue(db, recorder):
    submission = make_submission(tracks=[Track.SPARSITY])
    outbox.publish_submission(submission.pk)
    assert recorder.sent == [(submission.evaluations.get().pk, "sparsity.cpu")]


def test_every_dataset_has_its_own_hint_in_the_order_of_the_benchmark(db, recorder):
    submission = make_submission(benchmark=make_benchmark(datasets=[make_dataset() for _ in range(4)]))
    outbox.publish_submission(submission.pk)
    datasets = [Evaluation.objects.get(pk=sent).dataset for sent, _ in recorder.sent]
    assert datasets == [each.dataset for each in submission.benchmark.members()]


def test_every_row_of_a_group_notes_the_hint(db, recorder):
    submission = make_submission()
    outbox.publish_submission(submission.pk)
    outbox.publish_submission(submission.pk)
    for each in submission.evaluations.all():
        assert each.published_at is not None
        assert each.publications == 2


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_what_is_over_gets_no_hint(db, recorder, state):
    outbox.publish_submission(make_submission(state=state).pk)
    assert recorder.sent == []


def test_a_broker_that_fails_halfway_leaves_the_rest_to_the_reconciler(db, recorder, caplog):
    recorder.patience = 2
    submission = make_submission(benchmark=make_benchmark(datasets=[make_dataset() for _ in range(5)]))
    outbox.publish_submission(submission.pk)
    assert submission.evaluations.filter(published_at__isnull=False).count() == 4
    assert submission.evaluations.filter(published_at__isnull=True).count() == 6
    assert [record.message for record in caplog.records] == [
        "3 hints wait for the reconciler: Connection refused"
    ]


@pytest.mark.django_db(transaction=True)
def test_submitting_while_redis_is_down_is_no_error(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    broker.producer_app.cache_clear()
    try:
        with transaction.atomic():
            submission = make_submission()
            transaction.on_commit(lambda: outbox.publish_submission(submission.pk), robust=True)
    finally:
        broker.producer_app.cache_clear()
    assert {each.state for each in submission.evaluations.all()} == {"queued"}
    assert {each.published_at for each in submission.evaluations.all()} == {None}


def test_the_folder_gets_one_message_a_group(db, settings, tmp_path):
    settings.REDIS_URL, settings.BROKER_FOLDER = "", tmp_path / "broker"
    broker.producer_app.cache_clear()
    outbox.publish_submission(make_submission().pk)
    broker.producer_app.cache_clear()
    (message,) = os.listdir(tmp_path / "broker" / "messages")
    assert message.endswith(".retrieval.cpu.msg")
