"""Operating points that the latency track times: from the task to the stored points, the page and REST.

The model is a table of `tests/static_embeddings.py`: of its first dimension alone the cat has 1, the dog 0.5.
"""

import csv
import io
from pathlib import Path

import pytest

from evaluations.systems.locations import pinned
from leaderboard.boards.models import OperatingPoint
from leaderboard.hosts.models import HostProfile
from leaderboard.submissions.models import Artefact, Evaluation, Submission, Track
from tests import static_embeddings as static
from tests.factories import add_benchmark, add_dataset, make_folder, make_revision, make_submission
from workers import tasks

pytestmark = pytest.mark.django_db(transaction=True)

TIMES = {"query_latency_p50_ms", "query_search_latency_p50_ms", "query_speedup_realised"}
ALONG_TIME = "?x=query_latency_p50_ms"


@pytest.fixture
def swept(var: Path, tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch):
    """A submission with a curve; `said` is what the gates say of this machine."""
    folder = make_folder(var / "pets", documents=static.DOCUMENTS, queries=static.QUERIES, qrels=static.QRELS)
    add_dataset(folder, name="pets")
    benchmark = add_benchmark("pets", ["pets"])
    static.saved(tmp_path / "models" / "org" / "one", static.ONE)
    settings.MODELS = str(tmp_path / "models")
    monkeypatch.setenv("SPARSEBOARD_MODELS", settings.MODELS)
    found = pinned("org/one")

    def make(said: str = "") -> Submission:
        revision = make_revision(
            kind="dense", location="org/one", version=found.revision, files=dict(found.files),
            options={"behave": f"gate-points:{said}"},
        )  # fmt: skip
        return make_submission(
            benchmark=benchmark, revision=revision, tracks=list(Track), sweeps=["dimensions=1"]
        )

    return make


def evaluate(submission: Submission, track: str) -> Evaluation:
    tasks.evaluate(str(submission.evaluations.get(track=track).pk))
    done = submission.evaluations.get(track=track)
    assert done.error_message == ""
    return done


def test_times_join_the_points_of_their_values(swept, client):
    """The times come first here; in tests/leaderboard/boards/test_points.py they come last."""
    submission = swept()
    timed = evaluate(submission, "latency")
    assert timed.state == "succeeded"
    assert evaluate(submission, "retrieval").state == "succeeded"
    host = HostProfile.objects.get().hash

    stored = OperatingPoint.objects.filter(evaluation=timed)
    assert [(row.curve, row.value, set(row.metrics), row.reason) for row in stored] == [
        ("dimensions", "", TIMES, ""),
        ("dimensions", "1", TIMES, ""),
    ]
    assert not any(TIMES & set(row.metrics) for row in OperatingPoint.objects.exclude(evaluation=timed))
    assert timed.report["provenance"]["command"].endswith("--sweep dimensions=1 --tracks latency")
    assert not Artefact.objects.filter(evaluation=timed, name__contains="sweeps").exists()
    _assert_rest_joins(client, submission, host)
    _assert_csv_names_the_host(client, submission, host)
    _assert_page_shows(client, submission, host)


def _assert_rest_joins(client, submission: Submission, host: str) -> None:
    [dataset] = client.get(f"/api/v1/submissions/{submission.pk}/points/").json()
    assert dataset["host"] == host
    [curve] = dataset["curves"]
    unmodified, one = (point["metrics"] for point in curve["points"])
    assert [point["untimed"] for point in curve["points"]] == ["", ""]
    assert [unmodified["nDCG@10"], one["nDCG@10"]] == pytest.approx([static.SECOND, static.SECOND])
    assert unmodified["query_speedup_realised"] == 1.0
    times = submission.evaluations.get(track="latency").report["tracks"]["latency"]["metrics"]
    assert unmodified["query_latency_p50_ms"] == times["query_latency_p50_ms"]
    assert 0 < one["query_search_latency_p50_ms"] < one["query_latency_p50_ms"]


def _assert_csv_names_the_host(client, submission: Submission, host: str) -> None:
    text = client.get(f"/submissions/{submission.pk}/points.csv").content.decode()
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [line["host"] for line in lines] == [host, host]
    assert all(float(line["query_latency_p50_ms"]) > 0 for line in lines)


def _assert_page_shows(client, submission: Submission, host: str) -> None:
    address = f"/systems/{submission.revision.system_id}/"
    page = client.get(address).content.decode()
    assert f'Times hold for the host <a href="/hosts/{host}/">' in page
    assert "Speed-up" in page
    own = f"/curves/{submission.evaluations.get(track='sparsity').pk}/dimensions.json"
    assert f'data-curve="{own}"' in page
    assert f'data-curve="{own}{ALONG_TIME}"' in client.get(address + ALONG_TIME).content.decode()
    points = OperatingPoint.objects.filter(evaluation__track="latency").order_by("position")
    [unmodified, one] = [row.metrics["query_latency_p50_ms"] for row in points]
    drawn = {trace["name"]: trace for trace in client.get(own + ALONG_TIME).json()["data"]}
    assert drawn["First dimensions"]["x"] == [unmodified, one]
    assert drawn["unmodified"]["x"] == [unmodified]
    assert client.get(own).json()["data"][0]["x"] == [2, 1]


def test_a_rejected_session_stores_no_times_and_the_quality_curve_stays(swept, client):
    submission = swept("bm25 varied by 9 %")
    evaluate(submission, "retrieval")
    assert evaluate(submission, "latency").state == "queued"
    assert not OperatingPoint.objects.filter(evaluation__track="latency").exists()
    [dataset] = client.get(f"/api/v1/submissions/{submission.pk}/points/").json()
    assert dataset["host"] is None
    [curve] = dataset["curves"]
    assert not any(TIMES & set(point["metrics"]) for point in curve["points"])
    page = client.get(f"/systems/{submission.revision.system_id}/{ALONG_TIME}").content.decode()
    own = f"/curves/{submission.evaluations.get(track='sparsity').pk}/dimensions.json"
    assert f'data-curve="{own}"' in page
    assert "Times hold for the host" not in page
    assert client.get(own + ALONG_TIME).status_code == 404
    assert client.get(own).status_code == 200
