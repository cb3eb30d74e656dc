"""Putting numbers under submissions, as a worker's commit leaves them."""

from collections.abc import Mapping
from typing import Any

from leaderboard.boards import entries
from leaderboard.boards.models import Entry, Measurement
from leaderboard.catalog.models import Benchmark, Dataset, Revision
from leaderboard.submissions.models import Evaluation, State, Submission, Track
from tests.factories import data_facts, make_revision, make_submission, make_system


def measure(
    submission: Submission, dataset: Dataset, metrics: Mapping[str, float | None], *, protocol: str = ""
) -> None:
    """Let the dataset's retrieval evaluation have succeeded with these numbers (the row is not refreshed)."""
    evaluation = submission.evaluations.get(dataset=dataset, track=Track.RETRIEVAL)
    evaluation.state, evaluation.protocol = State.SUCCEEDED, protocol or dataset.protocol
    evaluation.save()
    for metric, value in metrics.items():
        Measurement.objects.create(
            evaluation=evaluation,
            metric=metric,
            value=value,
            reason="" if value is not None else "does not apply",
            protocol=evaluation.protocol,
        )


SESSION = {
    "device": "cpu",
    "threads": 1,
    "k": 10,
    "engine": "exact 1",
    "query_loop": "batch 1, chunks of 20",
    "references": "1: bm25, encoder, scan",
}


def session_of(dataset: Dataset, host: str, **facts: Any) -> dict[str, Any]:
    """The latency protocol of a session on this machine."""
    return {"hash": "l" * 12, **data_facts(dataset), "host_profile": host, **SESSION, **facts}


def time_one(
    submission: Submission,
    dataset: Dataset,
    metrics: Mapping[str, float | None],
    protocol: Mapping[str, Any],
    reason: str = "does not apply",
) -> Evaluation:
    """Let one dataset have been timed (the row is not refreshed). `reason`: of each null."""
    evaluation = submission.evaluations.create(
        dataset=dataset,
        track=Track.LATENCY,
        state=State.SUCCEEDED,
        host=protocol["host_profile"],
        protocol=protocol["hash"],
        report={"protocol": {"latency": protocol}},
    )
    for metric, value in metrics.items():
        Measurement.objects.create(
            evaluation=evaluation,
            metric=metric,
            value=value,
            reason="" if value is not None else reason,
            protocol=evaluation.protocol,
        )
    return evaluation


def time_on(submission: Submission, metrics: Mapping[str, float | None], host: str, **facts: Any) -> Entry:
    """Let every dataset have been timed on this machine, and refresh the row. `facts`: unlike `SESSION`'s."""
    for member in submission.benchmark.members():
        time_one(submission, member.dataset, metrics, session_of(member.dataset, host, **facts))
    entry = entries.refresh(submission)
    assert entry is not None
    return entry


def put_on_board(
    benchmark: Benchmark,
    ndcg: Mapping[str, float],
    *,
    revision: Revision | None = None,
    metrics: Mapping[str, float] | None = None,
    options: Mapping[str, Any] | None = None,
    kind: str = "bm25",
    **system: Any,
) -> Entry:
    """A system with nDCG@10 on the named datasets; `metrics` go with each of them."""
    revision = revision or make_revision(make_system(**system), kind=kind, options=options or {})
    submission = make_submission(benchmark=benchmark, revision=revision, tracks=[Track.RETRIEVAL])
    for member in benchmark.members():
        if member.dataset.name in ndcg:
            measure(submission, member.dataset, {"nDCG@10": ndcg[member.dataset.name], **(metrics or {})})
    entry = entries.refresh(submission)
    assert entry is not None
    return entry
