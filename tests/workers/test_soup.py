"""A model averaged with earlier submissions by a worker with the real evaluator: from REST to the page.

The models are tables of `tests/static_embeddings.py`, whose rankings and zeros are worked out there by hand.
"""

import json
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.cache import cache

from leaderboard.catalog.models import Benchmark
from leaderboard.submissions import submit
from leaderboard.submissions.models import Artefact, Submission
from tests import static_embeddings as static
from tests.evaluations.hostile import forging
from tests.factories import add_benchmark, add_dataset, make_folder, make_revision, make_submission, make_user
from tests.leaderboard.api.conftest import client_of
from tests.leaderboard.submissions.submitting import upload
from workers import prepare, runner, tasks, workspace

pytestmark = pytest.mark.django_db(transaction=True)
WIDE = {"pet": (1.0, 0.0, 0.0), "cat": (1.0, 0.0, 0.0), "dog": (0.5, 0.0, 0.0)}


@pytest.fixture
def pets(var: Path) -> Benchmark:
    folder = make_folder(var / "pets", documents=static.DOCUMENTS, queries=static.QUERIES, qrels=static.QRELS)
    add_dataset(folder, name="pets")
    return add_benchmark("pets", ["pets"])


@pytest.fixture
def models(tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as an operator would fill it: one, two and wide of them are there, three is not."""
    root = tmp_path / "models"
    for name, table in {"one": static.ONE, "two": static.TWO, "wide": WIDE}.items():
        static.saved(root / "org" / name, table)
    settings.MODELS, settings.EVALUATOR_MODULE = str(root), "evaluations"
    monkeypatch.setenv("SPARSEBOARD_MODELS", str(root))
    return root


def packed(folder: Path) -> bytes:
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return forging.zipped(files)


def submitted(owner, name: str, **place) -> Submission:
    request = submit.SubmissionRequest(benchmark="pets", kind="dense", name=name, **place)
    return submit.create(owner, submit.validate(request))


def test_three_models_are_averaged_and_the_curve_is_on_the_page(pets, models, tmp_path, client):
    cache.clear()
    alice = make_user("alice")
    two = submitted(alice, "Two", location="org/two")
    wide = submitted(alice, "Wide", location="org/wide")
    sent = upload(packed(static.saved(tmp_path / "three", static.THREE)), "three.zip")
    three = submitted(make_user("charlie"), "Three", archive=sent)
    values = [f"{two.pk}", f"{three.pk}", f"{wide.pk}", f"{two.pk}+{three.pk}"]
    body = {"benchmark": "pets", "kind": "dense", "name": "One", "location": "org/one"}
    asked = {"sweeps": [f"soup={','.join(values)}"], "tracks": "retrieval,sparsity"}
    api = client_of(alice)
    answer = api.post("/api/v1/submissions/", body | asked, format="json")
    assert answer.status_code == 201, answer.json()
    submission = Submission.objects.get(pk=answer.json()["id"])

    tasks.evaluate(str(submission.evaluations.get(track="retrieval").pk))

    done = submission.evaluations.get(track="sparsity")
    assert (done.state, done.error_message) == ("succeeded", "")
    [dataset] = api.get(f"/api/v1/submissions/{submission.pk}/points/").json()
    [curve] = dataset["curves"]
    points = {point["value"]: point for point in curve["points"]}
    assert list(points) == [None, *values]
    unmodified, with_two, with_three, gap, with_both = curve["points"]
    assert [point["metrics"]["nDCG@10"] for point in (unmodified, with_two, with_three, with_both)] == (
        pytest.approx([static.SECOND, static.FIRST, static.SECOND, static.FIRST])
    )
    zeros = [point["metrics"]["weight_zeros_share"] for point in (unmodified, with_two, with_three)]
    assert zeros == [static.ZEROS_OF_ONE, static.ZEROS_WITH_TWO, static.ZEROS_WITH_THREE]
    assert [point["axis"] for point in (unmodified, with_two, gap, with_both)] == [1, 2, None, 3]
    assert (gap["code"], gap["metrics"]) == ("SWEEP-POINT", {})
    assert "only models of one architecture are averaged" in gap["reason"]

    _assert_page_shows(client, submission, two, three)
    _assert_recipe_names(submission, two, three)
    assert list(workspace.attempts_folder().iterdir()) == []


def _assert_page_shows(client, submission: Submission, two: Submission, three: Submission) -> None:
    page = client.get(f"/systems/{submission.revision.system_id}/").content.decode()
    names = [f"{each.revision.system.name} {each.revision.short}" for each in (two, three)]
    assert f'<th scope="row">{" + ".join(names)}</th>' in page
    assert f'<a href="/submissions/{three.pk}/">Three</a>' in page
    assert "no point: checkpoint 1 has another 0.embedding.weight" in page
    evaluation = submission.evaluations.get(track="sparsity")
    figure = client.get(f"/curves/{evaluation.pk}/soup.json").json()
    [drawn] = [trace for trace in figure["data"] if trace["name"] == "Uniform average"]
    assert drawn["x"] == [2, 2, 3]
    assert drawn["y"] == pytest.approx([100 * each for each in (static.FIRST, static.SECOND, static.FIRST)])
    assert [text for text, _ in drawn["customdata"]] == [*names, " + ".join(names)]


def _assert_recipe_names(submission: Submission, two: Submission, three: Submission) -> None:
    stored = Artefact.objects.get(evaluation__submission=submission, name="report.json")
    report = json.loads(stored.file.read())
    command = report["provenance"]["command"]
    assert f"--checkpoint {two.pk}=org/two@{two.revision.version}" in command
    assert f"--checkpoint {three.pk}=./checkpoint-2-model@{three.revision.version}" in command
    assert str(workspace.attempts_folder()) not in json.dumps(report)


@pytest.fixture
def job(pets, tmp_path):
    """Of a submission that averages another."""

    def make(**fields) -> SimpleNamespace:
        revision = make_revision(kind="dense", location="org/one", version="c0ffee")
        other = make_submission(revision=make_revision(kind="dense", **fields), benchmark=pets)
        submission = make_submission(revision=revision, benchmark=pets, sweeps=[f"soup={other.pk}"])
        submission.checkpoints.create(checkpoint=other)
        claim = SimpleNamespace(tracks={"sparsity": uuid.uuid4()})
        return runner.Job(claim, submission, pets.members()[0].dataset, tmp_path), str(other.pk)

    return make


def test_a_checkpoint_is_fetched_as_it_was_when_submitted(job):
    own, key = job(location="org/two", version="sha256:0123456789abcdef", files={"config.json": "e" * 64})
    wanted = runner.wanted(own)
    assert wanted["checkpoints"][key]["model"] == {
        "location": "org/two", "revision": "sha256:0123456789abcdef", "files": {"config.json": "e" * 64},
    }  # fmt: skip
    assert len(wanted["parts"]) == 1


def test_a_checkpoint_that_is_not_what_it_was_is_refused_under_its_name(job, models, tmp_path, capsys):
    own, key = job(location="org/two", version="sha256:0123456789abcdef")
    one = prepare.locations.pinned("org/one")
    own.submission.revision.version = one.revision
    (tmp_path / prepare.WANTED).write_text(json.dumps(runner.wanted(own)))
    assert prepare.main("fetch", tmp_path) == 2
    assert f"error[REVISION-MISMATCH]: checkpoint {key}: org/two here is" in capsys.readouterr().err


def test_checkpoints_are_fetched_for_the_points_that_latency_times_and_not_for_retrieval_alone(job):
    own, key = job(location="org/two")

    def fetched(track: str) -> list[str]:
        claim = SimpleNamespace(tracks={track: 1})
        return list(runner.wanted(runner.Job(claim, own.submission, own.dataset, own.folder))["checkpoints"])

    assert (fetched("latency"), fetched("retrieval")) == ([key], [])
