"""POST /api/v1/submissions/ and what follows: who may, what is answered, what is refused and how."""

import io
import json
import uuid
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from evaluations.systems.locations import Pinned
from leaderboard.accounts.models import AuthToken, User
from leaderboard.catalog.models import Benchmark
from leaderboard.submissions import hub
from leaderboard.submissions.models import Artefact, Evaluation, State, Submission
from tests.factories import make_submission
from tests.leaderboard.api.conftest import client_of

pytestmark = pytest.mark.django_db

URL = "/api/v1/submissions/"
BM25 = {"benchmark": "pets", "kind": "bm25", "name": "BM25"}
RUN = b"q1 Q0 d1 1 2.0 mine\nq1 Q0 d2 2 1.0 mine\nq2 Q0 d3 1 1.0 mine\n"
SUBMISSION = {
    *("id", "state", "benchmark", "owner", "device", "note", "sweeps", "rerun_of", "created_at"),
    *("system", "revision", "evaluations"),
}
EVALUATION = {
    *("id", "dataset", "track", "state", "stage", "progress", "queue_position", "elapsed_seconds"),
    *("expected_seconds", "attempts", "error", "log", "created_at", "started_at", "finished_at", "artefacts"),
    *("not_before", "rejections"),
}


def run_fields(**fields: Any) -> dict[str, Any]:
    return {"benchmark": "pets", "kind": "run", "name": "mine"} | fields


def test_a_submission_is_answered_with_its_evaluations_and_their_states(
    api: APIClient, pets: Benchmark
) -> None:
    response = api.post(URL, BM25, format="json")
    assert response.status_code == 201
    answer = response.json()
    assert set(answer) == SUBMISSION | {"warnings"}
    assert (answer["state"], answer["benchmark"], answer["owner"]) == ("queued", "pets", "alice")
    assert answer["system"]["name"] == "BM25"
    assert set(answer["system"]) == {
        *("id", "name", "family", "organisation", "licence", "url", "description", "training_data")
    }
    assert set(answer["revision"]) == {"id", "kind", "location", "version", "options", "members"}
    assert answer["revision"]["members"] == []
    assert {(each["dataset"], each["state"]) for each in answer["evaluations"]} == {("pets", "queued")}
    assert "retrieval" in [each["track"] for each in answer["evaluations"]]
    assert all(set(each) == EVALUATION for each in answer["evaluations"])
    assert Submission.objects.get().owner.username == "alice"


def test_options_and_texts_arrive(api: APIClient, pets: Benchmark) -> None:
    body = BM25 | {"options": {"k1": 0.9}, "organisation": "ACME", "note": "first", "url": None}
    answer = api.post(URL, body, format="json").json()
    assert answer["revision"]["options"]["k1"] == 0.9
    assert (answer["system"]["organisation"], answer["note"]) == ("ACME", "first")


def test_members_are_named_by_submission_or_kind_and_answered_frozen(api: APIClient, pets: Benchmark) -> None:
    first = api.post(URL, BM25 | {"options": {"k1": 0.9}}, format="json").json()
    members = [{"submission": first["id"]}, {"kind": "bm25", "options": {"b": 0.4}}]
    body = {"benchmark": "pets", "kind": "fusion", "name": "Both", "members": members}
    answer = api.post(URL, body | {"options": {"weights": "2,1"}}, format="json")
    assert answer.status_code == 201, answer.json()
    one, other = answer.json()["revision"]["members"]
    assert set(one) == {"name", "kind", "location", "version", "options", "revision", "system"}
    assert (one["name"], one["options"]["k1"], one["revision"]) == ("BM25", 0.9, first["revision"]["id"])
    assert one["system"] == first["system"]["id"]
    assert (other["options"]["b"], other["revision"], other["system"]) == (0.4, None, None)
    as_form = body | {"name": "Again", "members": json.dumps(members)}
    assert api.post(URL, as_form, format="multipart").status_code == 201


@pytest.mark.parametrize(
    "members",
    [
        "bm25",
        "[{",
        [1],
        {"kind": "bm25"},
        [{"kind": 3}],
        [{"kind": "bm25", "options": [1]}],
        [{"name": "bm25"}],
    ],
)
def test_members_of_another_shape_are_refused_with_an_example(
    api: APIClient, pets: Benchmark, members: Any
) -> None:
    body = {"benchmark": "pets", "kind": "fusion", "name": "Both", "members": members}
    answer = api.post(URL, body, format="json")
    assert answer.status_code == 400
    assert "a list of objects, such as" in answer.json()["errors"]["members"][0]


def test_a_submission_that_is_not_there_is_no_member(api: APIClient, pets: Benchmark) -> None:
    members = [{"kind": "bm25"}, {"submission": str(uuid.uuid4())}]
    body = {"benchmark": "pets", "kind": "fusion", "name": "Both", "members": members}
    answer = api.post(URL, body, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"]["member-2"][0].startswith("There is no submission")


def test_latency_with_a_run_among_the_members_is_refused_at_tracks(api: APIClient, pets: Benchmark) -> None:
    upload = SimpleUploadedFile("mine.trec", RUN)
    run = api.post(URL, run_fields(**{"file-pets": upload}), format="multipart").json()
    members = [{"kind": "bm25"}, {"submission": run["id"]}]
    body = {"benchmark": "pets", "kind": "fusion", "name": "Both", "members": members}
    refused = api.post(URL, body | {"tracks": "retrieval,latency"}, format="json")
    assert refused.status_code == 400
    assert refused.json()["errors"] == {
        "tracks": ["Fusion cannot be timed with member 2 (run); leave latency out: retrieval, sparsity."]
    }
    left_open = api.post(URL, body, format="json")
    assert left_open.status_code == 201
    assert {each["track"] for each in left_open.json()["evaluations"]} == {"retrieval", "sparsity"}


def test_a_form_gives_options_one_by_one_or_as_json(api: APIClient, pets: Benchmark) -> None:
    one = api.post(URL, BM25 | {"option-k1": "0.9"}, format="multipart")
    two = api.post(URL, BM25 | {"name": "other", "options": '{"k1": 0.8}'}, format="multipart")
    assert one.json()["revision"]["options"]["k1"] == 0.9
    assert two.json()["revision"]["options"]["k1"] == 0.8


def test_a_run_is_uploaded_for_a_dataset(api: APIClient, pets: Benchmark) -> None:
    upload = SimpleUploadedFile("mine.trec", RUN)
    response = api.post(URL, run_fields(**{"file-pets": upload}), format="multipart")
    assert response.status_code == 201, response.json()
    revision = Submission.objects.get().revision
    assert revision.kind == "run"
    assert revision.uploads.get().file.read() == RUN


def test_runs_are_uploaded_as_one_zip(api: APIClient, pets: Benchmark) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pets.trec", RUN)
    upload = SimpleUploadedFile("runs.zip", packed.getvalue())
    assert api.post(URL, run_fields(archive=upload), format="multipart").status_code == 201


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        (BM25 | {"name": ""}, "name", "missing"),
        (BM25 | {"name": 5}, "name", "must be a text"),
        (BM25 | {"benchmark": "nowhere"}, "benchmark", "there are: pets"),
        (BM25 | {"kind": "magic"}, "kind", "bm25"),
        (BM25 | {"device": "tpu"}, "device", "cpu or gpu"),
        (BM25 | {"options": [1]}, "options", "one JSON object"),
        (BM25 | {"options": {"k1": "much"}}, "option-k1", "not a number"),
        (BM25 | {"options": {"colour": 1}}, "options", "colour"),
        (BM25 | {"location": "/etc/passwd"}, "location", "no model id"),
        (BM25 | {"location": "a/b", "options": {"stemmer": "english"}}, "option-stemmer", "set it to none"),
        (run_fields() | {"location": "org/name"}, "location", "takes no model"),
        (BM25 | {"kind": "dense", "location": "/etc/passwd"}, "location", "no model id"),
        (BM25 | {"url": "javascript:alert(1)"}, "url", "web address"),
        (BM25 | {"colour": "red"}, "__all__", "no field 'colour'"),
        (BM25 | {"file-pets": "q1 Q0 d1 1 1 x"}, "__all__", "multipart form"),
        (run_fields(), "archive", "needs a run"),
        ([1, 2], "__all__", "one JSON object"),
        ("pets", "__all__", "one JSON object"),
    ],
)
def test_bad_input_is_refused_by_field_and_nothing_is_stored(
    api: APIClient, pets: Benchmark, body: Any, field: str, words: str
) -> None:
    response = api.post(URL, json.dumps(body), content_type="application/json")
    assert response.status_code == 400
    assert set(response.json()) == {"errors"}
    assert words in " ".join(response.json()["errors"][field])
    assert not Submission.objects.exists()


def test_the_same_words_as_the_form(api: APIClient, alice: User, pets: Benchmark) -> None:
    browser = Client()
    browser.force_login(alice)
    for body in (BM25 | {"name": ""}, BM25 | {"url": "nowhere"}):
        page = browser.post("/submit/", body).content.decode()
        for messages in api.post(URL, body, format="json").json()["errors"].values():
            for message in messages:
                assert message.replace("'", "&#x27;") in page


def test_a_bad_run_is_refused_with_its_line(api: APIClient, pets: Benchmark) -> None:
    upload = SimpleUploadedFile("mine.trec", b"q1 Q0 d1 1 2.0 mine\nq1 Q0 d2 2 nan mine\n")
    response = api.post(URL, run_fields(**{"file-pets": upload}), format="multipart")
    assert response.status_code == 400
    [message] = response.json()["errors"]["file-pets"]
    assert "line 2" in message
    assert not Submission.objects.exists()


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"name": NaN}', "application/json", 400),
        (b'{"name": "\\ud800"}', "application/json", 400),
        (b"<xml/>", "application/xml", 415),
        (b"--x", "multipart/form-data", 400),
    ],
)
def test_what_cannot_be_parsed_is_refused_in_the_same_shape(
    api: APIClient, pets: Benchmark, body: bytes, content_type: str, code: int
) -> None:
    response = api.post(URL, body, content_type=content_type)
    assert response.status_code == code
    assert set(response.json()) == {"errors"}


def test_a_body_beyond_the_limit_is_too_large(api: APIClient, pets: Benchmark, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    response = api.post(URL, BM25 | {"description": "x" * 100}, format="json")
    assert response.status_code == 413
    settings.UPLOAD_LIMIT_BYTES = -(2**20)
    response = api.post(URL, run_fields(**{"file-pets": SimpleUploadedFile("a", RUN)}), format="multipart")
    assert response.status_code == 413
    assert set(response.json()) == {"errors"}


def test_the_same_key_and_request_give_the_same_submission(api: APIClient, pets: Benchmark) -> None:
    first = api.post(URL, BM25, format="json", headers={"Idempotency-Key": "k-1"})
    second = api.post(URL, BM25, format="json", headers={"Idempotency-Key": "k-1"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert Submission.objects.count() == 1


def test_the_same_key_with_another_request_conflicts(api: APIClient, pets: Benchmark) -> None:
    api.post(URL, BM25, format="json", headers={"Idempotency-Key": "k-1"})
    response = api.post(URL, BM25 | {"name": "other"}, format="json", headers={"Idempotency-Key": "k-1"})
    assert response.status_code == 409
    assert "another request" in response.json()["errors"]["idempotency_key"][0]


def test_a_key_belongs_to_its_owner(api: APIClient, charlie: User, pets: Benchmark) -> None:
    api.post(URL, BM25, format="json", headers={"Idempotency-Key": "k-1"})
    response = client_of(charlie).post(URL, BM25, format="json", headers={"Idempotency-Key": "k-1"})
    assert response.status_code == 201


def test_without_a_token_nobody_submits(anonymous: APIClient, pets: Benchmark) -> None:
    response = anonymous.post(URL, BM25, format="json")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Token"
    assert set(response.json()) == {"errors"}


def test_a_wrong_or_expired_token_is_refused(alice: User, pets: Benchmark) -> None:
    client = client_of(alice)
    AuthToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))
    assert client.post(URL, BM25, format="json").status_code == 401
    client.credentials(HTTP_AUTHORIZATION="Token 0123456789")
    assert client.post(URL, BM25, format="json").status_code == 401


def test_a_person_who_was_shut_out_submits_no_more(api: APIClient, alice: User, pets: Benchmark) -> None:
    User.objects.update(is_active=False)
    assert api.post(URL, BM25, format="json").status_code == 401


def test_a_token_that_may_only_read_reads_and_changes_nothing(alice: User, pets: Benchmark) -> None:
    client = client_of(alice, scope="read")
    submission = make_submission(owner=alice, benchmark=pets)
    for url in (URL, f"{URL}{submission.pk}/cancel/", f"{URL}{submission.pk}/rerun/"):
        response = client.post(url, BM25, format="json")
        assert response.status_code == 403
        assert "may only read" in response.json()["errors"]["__all__"][0]
    assert client.get(URL).json()["count"] == 1
    assert Submission.objects.count() == 1


def test_a_session_submits_too_but_not_without_its_csrf_token(alice: User, pets: Benchmark) -> None:
    for strict, code in ((False, 201), (True, 403)):
        client = APIClient(enforce_csrf_checks=strict)
        client.force_login(alice)
        assert client.post(URL, BM25, format="json").status_code == code


def test_the_list_holds_ones_own_submissions_newest_first(
    api: APIClient, alice: User, charlie: User, anonymous: APIClient
) -> None:
    make_submission(owner=charlie)
    older, newer = make_submission(owner=alice), make_submission(owner=alice, state=State.FAILED)
    answer = api.get(URL).json()
    assert [row["id"] for row in answer["results"]] == [str(newer.pk), str(older.pk)]
    assert [row["state"] for row in answer["results"]] == ["failed", "queued"]
    assert set(answer["results"][0]) == {
        *("id", "state", "benchmark", "system", "revision", "device", "created_at")
    }
    assert anonymous.get(URL).status_code == 401


def test_the_list_takes_as_many_queries_for_five_as_for_one(api: APIClient, alice: User) -> None:
    make_submission(owner=alice)
    api.get(URL)
    with CaptureQueriesContext(connection) as few:
        api.get(URL)
    for _ in range(4):
        make_submission(owner=alice)
    with CaptureQueriesContext(connection) as many:
        api.get(URL)
    assert len(many) == len(few)


def test_a_running_submission_shows_stage_progress_and_to_its_owner_the_log(
    api: APIClient, alice: User, charlie: User
) -> None:
    submission = make_submission(owner=alice)
    Evaluation.objects.update(
        state=State.RUNNING, stage="encoding", progress=0.61, log="one\ntwo", started_at=timezone.now()
    )
    answer = api.get(f"{URL}{submission.pk}/").json()
    assert set(answer) == SUBMISSION
    assert answer["state"] == "running"
    [first, *_] = answer["evaluations"]
    assert (first["stage"], first["progress"], first["log"]) == ("encoding", 0.61, "one\ntwo")
    assert first["elapsed_seconds"] >= 0
    stranger = client_of(charlie).get(f"{URL}{submission.pk}/").json()["evaluations"][0]
    assert (stranger["stage"], stranger["log"]) == ("encoding", "")


def test_a_queued_submission_knows_how_many_are_before_it(api: APIClient, alice: User) -> None:
    benchmark = make_submission().benchmark
    mine = make_submission(owner=alice, benchmark=benchmark)
    places = {each["queue_position"] for each in api.get(f"{URL}{mine.pk}/").json()["evaluations"]}
    assert places == {1}


def test_a_failed_evaluation_says_why(api: APIClient, alice: User) -> None:
    submission = make_submission(owner=alice, state=State.FAILED)
    Evaluation.objects.update(error_code="MODEL-LOAD", error_message="no such file")
    [first, *_] = api.get(f"{URL}{submission.pk}/").json()["evaluations"]
    assert first["error"] == {"code": "MODEL-LOAD", "message": "no such file"}


def test_files_are_listed_with_the_address_they_are_served_at(anonymous: APIClient) -> None:
    submission = make_submission(tracks=["retrieval"], state=State.SUCCEEDED)
    evaluation = submission.evaluations.get()
    Artefact.objects.create(
        evaluation=evaluation, name="run.trec.gz", file="a/run.trec.gz", sha256="0" * 64, size_bytes=7
    )
    [answer] = anonymous.get(f"{URL}{submission.pk}/").json()["evaluations"]
    url = f"/artefacts/{evaluation.pk}/run.trec.gz"
    assert answer["artefacts"] == [{"name": "run.trec.gz", "url": url, "sha256": "0" * 64, "size_bytes": 7}]
    assert answer["error"] is None


def test_more_evaluations_take_no_more_queries(anonymous: APIClient) -> None:
    few, many = make_submission(tracks=["retrieval"]), make_submission()
    counts = []
    for submission in (few, many):
        with CaptureQueriesContext(connection) as captured:
            anonymous.get(f"{URL}{submission.pk}/")
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 5


def test_the_owner_cancels_and_cancels_again(api: APIClient, alice: User) -> None:
    submission = make_submission(owner=alice)
    for _ in range(2):
        response = api.post(f"{URL}{submission.pk}/cancel/")
        assert response.status_code == 200
        assert response.json()["state"] == "cancelled"
    assert submission.events.get().actor == alice


def test_charlie_can_neither_cancel_nor_repeat_alices_submission(alice: User, charlie: User) -> None:
    submission = make_submission(owner=alice, state=State.FAILED)
    live = make_submission(owner=alice)
    for row in (submission, live):
        for deed in ("cancel", "rerun"):
            response = client_of(charlie).post(f"{URL}{row.pk}/{deed}/")
            assert response.status_code == 403
            assert response.json() == {"errors": {"__all__": ["Only its owner may do this."]}}
    assert Submission.objects.count() == 2
    assert {evaluation.state for evaluation in live.evaluations.all()} == {State.QUEUED}


def test_nobody_cancels_without_a_token(anonymous: APIClient) -> None:
    assert anonymous.post(f"{URL}{make_submission().pk}/cancel/").status_code == 401


def test_a_rerun_is_a_new_submission_of_the_same_revision(api: APIClient, alice: User) -> None:
    submission = make_submission(owner=alice, state=State.FAILED)
    response = api.post(f"{URL}{submission.pk}/rerun/")
    assert response.status_code == 201
    answer = response.json()
    assert set(answer) == SUBMISSION
    assert answer["rerun_of"] == str(submission.pk)
    assert answer["revision"]["id"] == str(submission.revision_id)


def test_what_is_on_its_way_is_not_run_again(api: APIClient, alice: User) -> None:
    response = api.post(f"{URL}{make_submission(owner=alice).pk}/rerun/")
    assert response.status_code == 400
    assert "still on its way" in response.json()["errors"]["__all__"][0]


def test_what_is_not_there_is_not_found(api: APIClient) -> None:
    missing = uuid.uuid4()
    for response in (
        api.get(f"{URL}{missing}/"),
        api.post(f"{URL}{missing}/cancel/"),
        api.get(f"{URL}no-uuid/"),
    ):
        assert response.status_code == 404
        assert set(response.json()) == {"errors"}


def test_sweeps_are_taken_as_a_list_or_in_a_form_as_json(
    api: APIClient, pets: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "pin", lambda *_: Pinned("c" * 40, {"config.json": "e" * 64}))
    body = {"benchmark": "pets", "kind": "dense", "name": "Model", "location": "org/model"}
    one = api.post(URL, body | {"sweeps": ["weights=50,10"]}, format="json")
    two = api.post(URL, body | {"sweeps": '["vector-bits=8"]'}, format="multipart")
    assert (one.status_code, one.json()["sweeps"]) == (201, ["weights=10,50"])
    assert (two.status_code, two.json()["sweeps"]) == (201, ["vector-bits=8"])


@pytest.mark.parametrize("sweeps", ["weights=10", {"weights": [10]}, [10], 5, "[1"])
def test_sweeps_of_another_type_are_refused(api: APIClient, pets: Benchmark, sweeps: object) -> None:
    answer = api.post(URL, BM25 | {"sweeps": sweeps}, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"]["sweeps"][0].startswith("sweeps must be a list of texts")
