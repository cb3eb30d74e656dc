"""FLOPS of a whole board's vectors taken together, from the counts that each dataset's evaluation left."""

from collections.abc import Collection, Mapping
from uuid import UUID

from django.core.files.storage import default_storage

from evaluations.errors import EvaluationError
from evaluations.sparsity.pooling import DIMENSION_COUNTS, Table, pooled_flops, read_table
from leaderboard.submissions.models import Artefact, State, Submission

METRIC = "flops_pooled"


def pooled(submission: Submission, datasets: Collection[UUID]) -> Mapping[str, float]:
    """`flops_pooled`, where every dataset left its counts over one vocabulary; else nothing. One query."""
    files = Artefact.objects.filter(
        evaluation__submission=submission,
        evaluation__dataset__in=datasets,
        evaluation__state=State.SUCCEEDED,
        name=DIMENSION_COUNTS,
    ).values_list("evaluation__dataset_id", "file")
    paths = dict(files)
    if len(datasets) < 2 or len(paths) < len(set(datasets)):
        return {}
    tables = [_table(path) for path in paths.values()]
    known = [table for table in tables if table is not None]
    value = pooled_flops(known) if len(known) == len(tables) else None
    return {} if value is None else {METRIC: value}


def _table(path: str) -> Table | None:
    """None where the file is gone or is none of ours: a process that ran a submitted model wrote it."""
    try:
        with default_storage.open(path) as stream:
            return read_table(stream)
    except (OSError, EvaluationError):
        return None
