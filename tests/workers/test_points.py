"""What a worker takes over of the points that the model's process wrote, and how long it may take."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from evaluations.errors import EvaluationFailed
from leaderboard.submissions.models import Track
from workers import runner
from workers.evaluator import Limits


@pytest.fixture
def job(tmp_path: Path) -> SimpleNamespace:
    for name in ("measured", "scored"):
        (tmp_path / name).mkdir()
    return SimpleNamespace(
        measured=tmp_path / "measured", scored=tmp_path / "scored", revision=SimpleNamespace(kind="dense"),
        sweeps=["weights:random=10,20", "vector-bits=8"],
    )  # fmt: skip


def write(path: Path, content: str = "run") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def test_the_runs_that_were_asked_for_are_taken_and_nothing_else(job: SimpleNamespace) -> None:
    for name in ("weights-random/10", "weights-random/30", "dimensions/8", "vector-bits/8"):
        write(job.measured / f"sweeps/{name}.trec.gz")
    runner._accept_points(job)
    taken = sorted(str(path.relative_to(job.scored)) for path in job.scored.rglob("*.gz"))
    assert taken == ["sweeps/vector-bits/8.trec.gz", "sweeps/weights-random/10.trec.gz"]


@pytest.mark.parametrize("link", ["sweeps", "sweeps/vector-bits", "sweeps/vector-bits/8.trec.gz"])
def test_a_link_in_place_of_a_run_or_its_folder_is_refused(
    job: SimpleNamespace, tmp_path: Path, link: str
) -> None:
    place = Path("sweeps/vector-bits/8.trec.gz")
    write(tmp_path / "secret" / place.relative_to(Path(link).parent), "secret")
    (job.measured / link).parent.mkdir(parents=True, exist_ok=True)
    (job.measured / link).symlink_to(tmp_path / "secret" / Path(link).name)
    with pytest.raises(EvaluationFailed, match="EVALUATOR-OUTPUT"):
        runner._accept_points(job)
    assert not list(job.scored.rglob("*.gz"))


@pytest.mark.parametrize(
    ("tracks", "expected"),
    [
        ({Track.RETRIEVAL: 1, Track.SPARSITY: 2}, ["vector-bits=8"]),
        ({Track.LATENCY: 3}, ["vector-bits=8"]),
        ({Track.RETRIEVAL: 1}, []),
    ],
)
def test_points_are_judged_with_sparsity_and_timed_with_latency(
    tmp_path: Path, tracks: dict[Track, int], expected: list[str]
) -> None:
    submission = SimpleNamespace(sweeps=["vector-bits=8"])
    assert runner.Job(SimpleNamespace(tracks=tracks), submission, None, tmp_path).sweeps == expected


def test_the_time_limit_grows_with_the_workload_up_to_the_operators_bound(settings) -> None:
    settings.EVALUATION_HARD_LIMIT_SECONDS, settings.EVALUATION_SWEEPS_LIMIT_SECONDS = 100, 350
    assert [Limits.of_settings(workload).seconds for workload in (1, 2, 11)] == [100, 200, 350]
