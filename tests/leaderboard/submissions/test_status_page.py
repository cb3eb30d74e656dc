"""The page that follows a submission, and a person's own list."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from leaderboard.submissions.models import AuditEvent, State, Submission, Track
from leaderboard.submissions.templatetags.durations import duration
from tests.factories import make_submission, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("recorder")]
POLLS = 'hx-trigger="every 2s"'


def page_of(client, submission, tail=""):
    return client.get(f"/submissions/{submission.pk}/{tail}")


def test_it_works(client):
    submission = make_submission()

    response = page_of(client, submission)

    assert response.status_code == 200
    page = response.content.decode()
    assert submission.revision.system.name in page
    assert "Next in the queue" in page
    assert POLLS in page
    assert f'hx-get="/submissions/{submission.pk}/status/"' in page


@pytest.mark.parametrize("tail", ["", "status/"])
def test_an_unknown_submission_answers_404(client, db, tail):
    assert client.get(f"/submissions/{uuid.uuid4()}/{tail}").status_code == 404


def test_without_javascript_the_page_reloads_itself_until_it_is_over(client):
    submission = make_submission()
    refresh = '<noscript><meta http-equiv="refresh" content="5"></noscript>'

    assert refresh in page_of(client, submission).content.decode()
    submission.evaluations.update(state=State.SUCCEEDED)
    assert refresh not in page_of(client, submission).content.decode()


def test_polling_stops_when_all_is_over(client):
    submission = make_submission()
    assert page_of(client, submission, "status/").status_code == 200

    submission.evaluations.update(state=State.SUCCEEDED)
    last = page_of(client, submission, "status/")

    assert last.status_code == 286
    assert POLLS not in last.content.decode()
    assert POLLS not in page_of(client, submission).content.decode()


def test_what_did_not_change_is_not_sent_again(client, alice):
    submission = make_submission(owner=alice)
    client.force_login(alice)
    first = page_of(client, submission, "status/")
    etag = first["ETag"]

    same = client.get(f"/submissions/{submission.pk}/status/", headers={"If-None-Match": etag})
    assert (same.status_code, same.content) == (304, b"")

    submission.evaluations.update(
        state=State.RUNNING, stage="encoding", progress=0.61, started_at=timezone.now()
    )
    other = client.get(f"/submissions/{submission.pk}/status/", headers={"If-None-Match": etag})
    assert other.status_code == 200
    assert "no-cache" in other["Cache-Control"]


def test_stage_share_time_attempt_and_worker_are_shown(client):
    submission = make_submission(state=State.RUNNING)
    submission.evaluations.update(
        stage="encoding",
        progress=0.614,
        attempts=2,
        worker="worker-1@host",
        started_at=timezone.now() - timedelta(seconds=72),
        expected_seconds=118,
    )

    page = page_of(client, submission).content.decode()

    assert '<progress value="0.6140" max="1">61 %</progress>' in page
    for words in ("encoding", "1 min 1", "of about 1 min 58 s", "attempt 2", "worker-1@host"):
        assert words in page


def test_a_failure_says_what_and_where(client):
    submission = make_submission(state=State.FAILED)
    submission.evaluations.update(
        error_code="MODEL-CODE", error_message="config.json has auto_map; <remove it>"
    )

    page = page_of(client, submission).content.decode()

    assert "config.json has auto_map; &lt;remove it&gt; <code>MODEL-CODE</code>" in page


def test_what_is_done_shows_its_figure_and_leads_on(client):
    submission = make_submission(state=State.SUCCEEDED)
    report = {"tracks": {"retrieval": {"metrics": {"nDCG@10": 0.64508}}}}
    submission.evaluations.filter(track=Track.RETRIEVAL).update(report=report)

    page = page_of(client, submission).content.decode()

    assert '<b class="number">0.6451</b> nDCG@10' in page
    assert f'href="/systems/{submission.revision.system_id}/"' in page
    assert f'href="/leaderboards/{submission.benchmark.name}/"' in page


def test_logs_and_buttons_are_for_the_owner_and_the_staff(client, alice, charlie):
    submission = make_submission(owner=alice, state=State.RUNNING)
    submission.evaluations.update(log="loading weights")
    buttons = {}
    for viewer in (None, charlie, alice, make_user("dora", is_staff=True)):
        client.logout()
        if viewer:
            client.force_login(viewer)
        page = page_of(client, submission).content.decode()
        buttons[viewer.username if viewer else ""] = ("loading weights" in page, "Cancel</button>" in page)

    assert buttons == {
        "": (False, False), "charlie": (False, False), "alice": (True, True), "dora": (True, True),
    }  # fmt: skip


def test_a_note_is_not_for_strangers(client, alice):
    submission = make_submission(owner=alice, note="for my own list")

    assert b"for my own list" not in page_of(client, submission).content
    client.force_login(alice)
    assert b"for my own list" in page_of(client, submission).content


def test_alice_cancels(client, alice):
    submission = make_submission(owner=alice)
    client.force_login(alice)

    response = client.post(f"/submissions/{submission.pk}/cancel/", follow=True)

    assert Submission.objects.get().state == State.CANCELLED
    assert AuditEvent.objects.get().actor == alice
    assert "Cancelled." in response.content.decode()
    again = client.post(f"/submissions/{submission.pk}/cancel/", follow=True)
    assert "Nothing was left to cancel." in again.content.decode()


def test_alice_runs_it_again(client, alice):
    submission = make_submission(owner=alice, state=State.FAILED)
    client.force_login(alice)

    response = client.post(f"/submissions/{submission.pk}/rerun/")

    again = Submission.objects.get(rerun_of=submission)
    assert response["Location"] == f"/submissions/{again.pk}/"


def test_running_again_what_is_on_its_way_leads_there(client, alice):
    submission = make_submission(owner=alice, state=State.RUNNING)
    client.force_login(alice)

    response = client.post(f"/submissions/{submission.pk}/rerun/", follow=True)

    assert response.redirect_chain == [(f"/submissions/{submission.pk}/", 302)]
    assert "still on its way" in response.content.decode()
    assert Submission.objects.count() == 1


@pytest.mark.parametrize("deed", ["cancel", "rerun"])
def test_charlie_may_not(client, alice, charlie, deed):
    submission = make_submission(owner=alice)
    url = f"/submissions/{submission.pk}/{deed}/"

    assert client.post(url)["Location"].startswith("/accounts/login/")
    client.force_login(charlie)
    assert client.post(url).status_code == 403
    assert client.get(url).status_code == 405
    assert Submission.objects.get().state == State.QUEUED


def test_the_list_is_the_callers_own(client, alice, charlie):
    mine, theirs = make_submission(owner=alice, state=State.FAILED), make_submission(owner=charlie)
    assert client.get("/submissions/")["Location"].startswith("/accounts/login/")
    client.force_login(alice)

    page = client.get("/submissions/").content.decode()

    assert mine.revision.system.name in page
    assert "failed" in page
    assert theirs.revision.system.name not in page


def test_the_list_has_pages(client, alice):
    for _ in range(26):
        make_submission(owner=alice)
    client.force_login(alice)

    assert client.get("/submissions/").content.decode().count("<tr>") == 26
    assert client.get("/submissions/?page=2").content.decode().count("<tr>") == 2
    assert client.get("/submissions/?page=nonsense").status_code == 200


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (0.4, "under 1 s"),
        (12.9, "12 s"),
        (65, "1 min 05 s"),
        (3599, "59 min 59 s"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations(seconds, shown):
    assert duration(seconds) == shown
