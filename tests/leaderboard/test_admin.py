"""The operator's pages: lists and rows open, in a fixed number of queries; what must not be edited is not."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib import admin
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from leaderboard.accounts.models import AuthToken, User
from leaderboard.boards.models import Entry, Measurement, OperatingPoint
from leaderboard.catalog.models import Benchmark, BenchmarkDataset, Dataset, RevisionFile
from leaderboard.hosts import registry
from leaderboard.hosts.models import Worker
from leaderboard.hosts.registry import Reproduction
from leaderboard.submissions.models import Artefact, AuditEvent, Evaluation, State, Submission
from tests.factories import make_benchmark, make_dataset, make_submission, make_user
from tests.leaderboard.hosts.test_registry import identity

pytestmark = pytest.mark.django_db

OURS = [model for model in admin.site._registry if model.__module__.startswith("leaderboard.")]
READ_ONLY = [Entry, Measurement, OperatingPoint, Evaluation, Submission, AuditEvent, Artefact]


@pytest.fixture
def operator() -> User:
    return make_user("operator", is_staff=True, is_superuser=True)


@pytest.fixture
def client(operator: User) -> Client:
    client = Client()
    client.force_login(operator)
    return client


def a_whole_submission() -> Submission:
    """One row in every table that the admin shows."""
    submission = make_submission()
    AuthToken.objects.create(user=submission.owner)
    AuditEvent.objects.create(submission=submission, actor=submission.owner, action="submit")
    Entry.objects.create(submission=submission, benchmark=submission.benchmark, revision=submission.revision)
    RevisionFile.objects.create(
        revision=submission.revision,
        dataset=submission.benchmark.datasets.get(),
        file="uploads/a.trec",
        sha256="0" * 64,
        size_bytes=3,
    )
    _a_machine()
    for evaluation in submission.evaluations.all():
        Measurement.objects.create(evaluation=evaluation, metric="nDCG@10", value=0.5, protocol="0" * 12)
        Artefact.objects.create(evaluation=evaluation, name="run", file="a", sha256="0" * 64, size_bytes=3)
        OperatingPoint.objects.create(evaluation=evaluation, curve="weights", value="50", position=0)
    return submission


def _a_machine() -> None:
    me = identity(f"box:{Worker.objects.count()}")
    registry.register(me)
    registry.record_check(me, Reproduction("bm25", "nDCG@10", 0.65, 0.001, 0.65))
    registry.record_calibration(me.profile, {"bm25 cpu 1": 0.5})


def address(model: type[Model], page: str, *arguments: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


def act(client: Client, action: str, *rows: Model) -> str:
    data = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    response = client.post(address(type(rows[0]), "changelist"), data, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def test_every_app_has_its_models_in_the_admin() -> None:
    names = {model.__name__ for model in OURS}
    assert names >= {"User", "AuthToken", "Dataset", "Benchmark", "System", "Revision", "Submission"}
    assert names >= {"Evaluation", "AuditEvent", "Artefact", "Entry", "Measurement"}


@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.label)
def test_every_list_opens_and_can_be_searched(client: Client, model: type[Model]) -> None:
    a_whole_submission()
    assert client.get(address(model, "changelist")).status_code == 200
    if admin.site._registry[model].search_fields:
        assert client.get(address(model, "changelist"), {"q": "bm25"}).status_code == 200


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_every_row_opens(client: Client, model: type[Model]) -> None:
    a_whole_submission()
    row = model._default_manager.first()
    assert row is not None
    assert client.get(address(model, "change", row.pk)).status_code == 200


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_a_list_takes_as_many_queries_for_five_rows_as_for_one(client: Client, model: type[Model]) -> None:
    a_whole_submission()
    url = address(model, "changelist")
    client.get(url)
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get(url)
    for _ in range(4):
        a_whole_submission()
    with CaptureQueriesContext(connection) as many:
        client.get(url)
    assert len(many) == len(few)


@pytest.mark.parametrize("model", READ_ONLY, ids=lambda model: model._meta.label)
def test_what_the_code_alone_writes_cannot_be_added_changed_or_deleted(
    client: Client, model: type[Model]
) -> None:
    a_whole_submission()
    row = model._default_manager.first()
    assert row is not None
    assert client.get(address(model, "add")).status_code == 403
    assert client.post(address(model, "change", row.pk), {"state": "succeeded"}).status_code == 403
    assert client.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403


def test_strangers_and_plain_users_are_not_let_in() -> None:
    client = Client()
    url = address(Submission, "changelist")
    assert client.get(url).status_code == 302
    client.force_login(make_user("charlie"))
    assert client.get(url).status_code == 302


def test_staff_that_may_only_look_cannot_cancel() -> None:
    from django.contrib.auth.models import Permission

    viewer = make_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_submission"))
    client = Client()
    client.force_login(viewer)
    submission = make_submission()
    page = client.get(address(Submission, "changelist")).content.decode()
    assert "Cancel what is not over" not in page
    act(client, "cancel", submission)
    assert {evaluation.state for evaluation in submission.evaluations.all()} == {State.QUEUED}


def test_cancel_ends_the_chosen_and_notes_who_did_it(client: Client, operator: User) -> None:
    live, done = make_submission(), make_submission(state=State.SUCCEEDED)
    assert "Cancelled 1 of 2." in act(client, "cancel", live, done)
    assert {evaluation.state for evaluation in live.evaluations.all()} == {State.CANCELLED}
    assert {evaluation.state for evaluation in done.evaluations.all()} == {State.SUCCEEDED}
    assert AuditEvent.objects.get(submission=live).actor == operator


def test_run_again_makes_a_submission_of_the_same_owner(client: Client) -> None:
    done, live = make_submission(state=State.FAILED), make_submission()
    page = act(client, "run_again", done, live)
    assert "Queued 1 of 2." in page
    assert "still on its way" in page
    assert Submission.objects.get(rerun_of=done).owner == done.owner


def test_publish_again_sends_one_hint_a_group_that_waits(client: Client) -> None:
    live, done = make_submission(), make_submission(state=State.SUCCEEDED)
    with patch("leaderboard.submissions.outbox.publish", return_value=1) as publish:
        assert "Sent hints: 1 of 1." in act(client, "publish_again", live, done)
    [rows] = publish.call_args.args
    assert {row.submission_id for row in rows} == {live.pk}


def test_a_submissions_page_shows_its_id_time_evaluations_and_history(client: Client) -> None:
    submission = a_whole_submission()
    page = client.get(address(Submission, "change", submission.pk)).content.decode()
    assert str(submission.pk) in page
    assert "Created at" in page
    for row in (*submission.evaluations.all(), *submission.events.all()):
        assert address(type(row), "change", row.pk) in page


def test_the_queue_tells_waiting_held_expired_and_failed_apart(client: Client) -> None:
    now = timezone.now()
    rows = {
        name: make_submission(benchmark=make_benchmark(), tracks=["retrieval"], state=state).evaluations.get()
        for name, state in [
            ("waiting", "queued"),
            ("held", "running"),
            ("expired", "running"),
            ("failed", "failed"),
        ]
    }
    for name, seconds in [("held", 60), ("expired", -60)]:
        lease = now + timedelta(seconds=seconds)
        Evaluation.objects.filter(pk=rows[name].pk).update(lease_until=lease, worker=name)

    def shown(queue: str) -> set[str]:
        found = client.get(address(Evaluation, "changelist"), {"queue": queue}).context["cl"].queryset
        return {name for name, row in rows.items() if row in found}

    assert shown("claimable") == {"waiting", "expired"}
    assert shown("unpublished") == {"waiting", "expired"}
    assert shown("held") == {"held"}
    assert shown("expired") == {"expired"}
    assert shown("failed") == {"failed"}


def test_submissions_are_filtered_by_the_state_of_any_evaluation(client: Client) -> None:
    failed = make_submission(state=State.FAILED)
    make_submission()
    response = client.get(address(Submission, "changelist"), {"state": "failed"})
    assert list(response.context["cl"].queryset) == [failed]


def test_an_entry_is_computed_anew(client: Client) -> None:
    submission = a_whole_submission()
    submission.evaluations.update(state=State.SUCCEEDED)
    Measurement.objects.update(protocol=submission.benchmark.datasets.get().protocol)
    assert "Computed anew: 1 of 1." in act(client, "refresh", submission.entry)
    assert Entry.objects.get().average == 0.5


def test_a_whole_board_is_computed_anew(client: Client) -> None:
    submission = a_whole_submission()
    submission.evaluations.update(state=State.SUCCEEDED)
    Measurement.objects.update(protocol=submission.benchmark.datasets.get().protocol)
    act(client, "refresh_entries", submission.benchmark)
    assert Entry.objects.get().average == 0.5


def board_form(benchmark: Benchmark, *rows: dict[str, Any]) -> dict[str, Any]:
    """The change form of a benchmark with one inline form for each of `rows`."""
    kept = sum("id" in row for row in rows)
    form = {"name": benchmark.name, "title": "Animals", "description": "", "position": 3}
    form |= {"benchmarkdataset_set-TOTAL_FORMS": len(rows), "benchmarkdataset_set-INITIAL_FORMS": kept}
    for place, row in enumerate(rows):
        fields = {"benchmark": benchmark.pk, "position": place, "group": ""} | row
        form |= {f"benchmarkdataset_set-{place}-{key}": value for key, value in fields.items()}
    return form


def test_a_board_takes_datasets_in_order_before_its_first_submission(client: Client) -> None:
    benchmark = make_benchmark("animals", [])
    cats, dogs = make_dataset("cats"), make_dataset("dogs")
    form = board_form(benchmark, {"dataset": dogs.pk}, {"dataset": cats.pk})
    assert client.post(address(Benchmark, "change", benchmark.pk), form).status_code == 302
    assert [member.dataset for member in benchmark.members()] == [dogs, cats]


def test_two_columns_of_a_board_cannot_share_a_name(client: Client) -> None:
    benchmark = make_benchmark("animals", [])
    cats, dogs = make_dataset("cats"), make_dataset("dogs")
    form = board_form(benchmark, {"dataset": cats.pk}, {"dataset": dogs.pk, "group": "cats"})
    page = client.post(address(Benchmark, "change", benchmark.pk), form).content.decode()
    assert "cannot be both a dataset and a group" in page
    assert not benchmark.members().exists()


def test_a_board_with_submissions_keeps_its_datasets(client: Client) -> None:
    benchmark = make_submission().benchmark
    member = BenchmarkDataset.objects.get(benchmark=benchmark)
    form = board_form(benchmark, {"id": member.pk, "dataset": member.dataset_id, "DELETE": "on"})
    assert client.post(address(Benchmark, "change", benchmark.pk), form).status_code == 302
    benchmark.refresh_from_db()
    assert benchmark.title == "Animals"
    assert BenchmarkDataset.objects.filter(pk=member.pk).exists()


def test_a_dataset_in_use_and_a_person_with_submissions_cannot_be_deleted(client: Client) -> None:
    submission = make_submission()
    dataset = submission.benchmark.datasets.get()
    for row in (dataset, submission.owner):
        page = client.post(address(type(row), "delete", row.pk), {"post": "yes"}).content.decode()
        assert "Cannot delete" in page
        assert type(row)._default_manager.filter(pk=row.pk).exists()


def test_only_source_and_licence_of_a_dataset_are_editable(client: Client) -> None:
    dataset = make_dataset("cats")
    form = {"source": "/data/cats", "licence": "CC0", "name": "dogs", "protocol": "x", "queries": 9}
    assert client.post(address(Dataset, "change", dataset.pk), form).status_code == 302
    dataset.refresh_from_db()
    assert (dataset.source, dataset.licence) == ("/data/cats", "CC0")
    assert (dataset.name, dataset.queries) == ("cats", 2)


def test_a_token_is_shut_out_by_deleting_it(client: Client) -> None:
    token, _ = AuthToken.objects.create(user=make_user())
    assert client.get(address(AuthToken, "add")).status_code == 403
    client.post(address(AuthToken, "delete", token.pk), {"post": "yes"})
    assert not AuthToken.objects.exists()


def test_an_operator_adds_a_person_who_can_sign_in(client: Client) -> None:
    form = {
        **{"username": "bob", "email": "bob@example.org", "organisation": "ACME", "usable_password": "true"},
        **{"password1": "correct horse battery", "password2": "correct horse battery"},
    }
    assert client.post(address(User, "add"), form).status_code == 302
    bob = User.objects.get(username="bob")
    assert (bob.email, bob.organisation) == ("bob@example.org", "ACME")
    assert bob.check_password("correct horse battery")


def test_a_row_that_is_not_there_answers_with_a_redirect_to_the_index(client: Client) -> None:
    assert client.get(address(Submission, "change", uuid.uuid4())).status_code == 302
    assert client.get(address(Submission, "change", "no-uuid")).status_code == 302


def test_pages_need_no_inline_script(client: Client) -> None:
    a_whole_submission()
    pages: list[Callable[[], str]] = [
        lambda: address(Evaluation, "changelist"),
        lambda: address(Benchmark, "change", Benchmark.objects.first().pk),  # type: ignore[union-attr]
    ]
    for page in pages:
        response = client.get(page())
        assert "script-src 'self'" in response.headers["Content-Security-Policy"].split("; ")
        for script in response.content.decode().split("<script")[1:]:
            opening, _, body = script.partition(">")
            is_data = 'type="application/json"' in opening
            assert is_data or not body.partition("</script>")[0].strip()
        assert " onclick=" not in response.content.decode()
