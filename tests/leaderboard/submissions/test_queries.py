"""What pages and API read about submissions."""

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from leaderboard.submissions import queries
from leaderboard.submissions.models import Evaluation, State, Submission, Track
from tests.factories import make_benchmark, make_dataset, make_submission, make_user

pytestmark = pytest.mark.django_db
ANYONE = AnonymousUser()


def status_of(submission, viewer=ANYONE):
    return queries.submission_status(submission.id, viewer)


def test_it_works():
    submission = make_submission(
        benchmark=make_benchmark(datasets=[make_dataset("cats"), make_dataset("dogs")])
    )

    status = status_of(submission)

    assert status.submission == submission
    assert status.state == State.QUEUED
    assert not status.is_terminal
    assert [(each.dataset, each.track) for each in status.evaluations] == [
        ("cats", "retrieval"),
        ("cats", "sparsity"),
        ("dogs", "retrieval"),
        ("dogs", "sparsity"),
    ]


def test_an_unknown_submission_does_not_exist():
    with pytest.raises(Submission.DoesNotExist):
        queries.submission_status(uuid.uuid4(), ANYONE)


def test_the_benchmarks_order_is_kept_not_the_alphabet():
    submission = make_submission(
        benchmark=make_benchmark(datasets=[make_dataset("zebras"), make_dataset("ants")])
    )

    assert [group.dataset for group in status_of(submission).groups] == ["zebras", "ants"]


def test_retrieval_and_sparsity_of_a_dataset_are_one_place_in_the_queue():
    first = make_submission(benchmark=make_benchmark(datasets=[make_dataset(), make_dataset()]))
    second = make_submission()

    assert [each.queue_position for each in status_of(first).evaluations] == [0, 0, 1, 1]
    assert [each.queue_position for each in status_of(second).evaluations] == [2, 2]


def test_places_count_only_what_waits_in_the_same_queue():
    make_submission(device="gpu")
    make_submission(state=State.SUCCEEDED)
    make_submission(state=State.CANCELLED)
    make_submission(tracks=[Track.LATENCY])
    mine = make_submission(tracks=[Track.RETRIEVAL, Track.SPARSITY, Track.LATENCY])

    positions = {each.track: each.queue_position for each in status_of(mine).evaluations}

    assert positions == {"retrieval": 0, "sparsity": 0, "latency": 1}


def test_a_worker_that_died_gives_its_place_back_to_the_queue():
    dead, live = make_submission(state=State.RUNNING), make_submission(state=State.RUNNING)
    now = timezone.now()
    dead.evaluations.update(lease_until=now - timedelta(seconds=5), attempts=1)
    live.evaluations.update(lease_until=now + timedelta(seconds=50), attempts=1)

    assert status_of(make_submission()).evaluations[0].queue_position == 1


def test_what_runs_shows_stage_share_and_times():
    submission = make_submission(state=State.RUNNING)
    submission.evaluations.update(
        stage="encoding",
        progress=0.614,
        started_at=timezone.now() - timedelta(seconds=30),
        expected_seconds=49,
    )

    evaluation = status_of(submission).evaluations[0]

    assert (evaluation.stage, evaluation.percent) == ("encoding", "61 %")
    assert evaluation.elapsed_seconds == pytest.approx(30, abs=5)
    assert evaluation.expected_seconds == 49
    assert evaluation.queue_position is None


def test_what_is_done_shows_its_time_and_its_figure():
    submission = make_submission(state=State.SUCCEEDED)
    start = timezone.now() - timedelta(hours=1)
    report = {"tracks": {"retrieval": {"metrics": {"nDCG@10": 0.64508}}}}
    submission.evaluations.update(
        started_at=start, finished_at=start + timedelta(seconds=12), stage="scoring"
    )
    submission.evaluations.filter(track=Track.RETRIEVAL).update(report=report)

    group = status_of(submission).groups[0]

    assert group.ndcg_at_10 == 0.64508
    assert group.lead.elapsed_seconds == 12
    assert group.lead.stage == ""


def test_logs_are_for_the_owner_and_the_staff():
    alice, charlie = make_user("alice"), make_user("charlie")
    staff = make_user("dora", is_staff=True)
    submission = make_submission(owner=alice)
    submission.evaluations.update(log="one\ntwo")

    def read(viewer):
        return status_of(submission, viewer).evaluations[0].log

    assert read(alice) == read(staff) == "one\ntwo"
    assert read(charlie) == read(ANYONE) == ""


def test_only_the_last_lines_of_a_log_are_shown():
    submission = make_submission(owner=make_user())
    submission.evaluations.update(log="\n".join(f"line {number}" for number in range(1, 51)))

    tail = status_of(submission, submission.owner).evaluations[0].log_tail

    assert tail.splitlines() == [f"line {number}" for number in range(31, 51)]


def test_a_failed_evaluation_leads_its_group():
    submission = make_submission(state=State.SUCCEEDED)
    submission.evaluations.filter(track=Track.SPARSITY).update(state=State.FAILED, error_code="OUT-OF-MEMORY")

    group = status_of(submission).groups[0]

    assert (group.state, group.lead.error_code) == (State.FAILED, "OUT-OF-MEMORY")


@pytest.mark.parametrize("datasets", [1, 5])
def test_the_number_of_queries_does_not_grow(django_assert_num_queries, datasets):
    submission = make_submission(benchmark=make_benchmark(datasets=[make_dataset() for _ in range(datasets)]))
    make_submission()

    with django_assert_num_queries(3):
        status_of(submission)


def test_a_persons_list_is_their_own_newest_first_in_two_queries(django_assert_num_queries):
    alice = make_user("alice")
    older = make_submission(owner=alice, state=State.FAILED)
    newer = make_submission(owner=alice, state=State.RUNNING)
    make_submission(owner=make_user("charlie"))

    with django_assert_num_queries(2):
        rows = [(row.id, row.state, str(row), row.benchmark.title) for row in queries.submissions_of(alice)]

    assert [row[:2] for row in rows] == [(newer.id, State.RUNNING), (older.id, State.FAILED)]


def test_the_queue_lists_no_evaluation_that_used_its_attempts():
    spent = make_submission()
    Evaluation.objects.filter(submission=spent).update(attempts=3)

    assert status_of(make_submission()).evaluations[0].queue_position == 0
