"""The sparsity profile on a system's page."""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client

from evaluations.artefacts import write_arrays
from evaluations.sparsity.pooling import DIMENSION_COUNTS
from leaderboard.boards import entries
from leaderboard.boards.metrics import Across, Family, describe
from leaderboard.boards.profile import groups_of, inside_of
from leaderboard.boards.system_page import Line, Value
from leaderboard.submissions.models import Artefact, State, Track
from tests.factories import make_benchmark, make_dataset, make_revision, make_submission, make_system

from .helpers import measure

WEIGHTS = [
    {"layer": 0, "part": "attention", "zeros_share": 0.25, "pattern": "2:4"},
    {"layer": 0, "part": "mlp", "zeros_share": 0.0, "pattern": None},
    {"layer": 10, "part": "mlp", "zeros_share": 0.5, "pattern": None},
    {"layer": 2, "part": "mlp", "zeros_share": 0.0001, "pattern": None},
]
TRACK = {
    "weights": {"layers": WEIGHTS, "dtypes": ["F32"], "pattern": None, "masks": 0, "adapter_tensors": 0},
    "activations": {"layers": [{"layer": 0, "zeros_share": 0.9, "near_zeros_share": 0.95}]},
    "attention": {
        "layers": [{"layer": 0, "top_mass_share": None, "small_entries_share": 0.5}],
        "lengths": [{"tokens": "1-16", "top_mass_share": 0.8, "small_entries_share": 0.1}],
    },
    "sample": {"documents": 8, "queries": 7, "rule": "smallest digests"},
}


def inside(**track):
    return inside_of({"tracks": {"sparsity": {**TRACK, **track}}})


def test_layers_stand_in_their_order_with_a_column_for_what_some_layer_has():
    table = inside().layers
    assert [heading for heading, _ in table.rows] == ["0", "2", "10"]
    assert list(table.columns) == [
        "Attention weights zero", "Attention N:M", "Mlp weights zero", "Activations zero", "Near zero",
        "Entries below 0.001",
    ]  # fmt: skip
    first = dict(zip(table.columns, table.rows[0][1], strict=True))
    assert first["Attention N:M"].text == "2:4"
    assert (first["Activations zero"].text, first["Activations zero"].share) == ("90.0\xa0%", 0.9)
    assert dict(zip(table.columns, table.rows[1][1], strict=True))["Mlp weights zero"].text == "<0.1\xa0%"
    assert table.rows[2][1][0].text == "–"


def test_the_sample_is_stated():
    assert inside().sample == (
        "Activations, attention, experts and compute on 8 documents and 7 queries: smallest digests."
    )


@pytest.mark.parametrize("report", [None, {}, {"tracks": []}, {"tracks": {"sparsity": {"metrics": {}}}}])
def test_a_report_that_tells_nothing_has_no_inside(report):
    assert inside_of(report) is None


def test_what_has_another_type_than_it_should_is_left_out():
    found = inside(
        weights={"layers": [{"layer": "0"}, 7, {"layer": 0, "part": 3, "zeros_share": "much", "pattern": 9}]},
        activations={"layers": {"layer": 0}},
        attention={"layers": [{"layer": 0, "small_entries_share": 7}], "lengths": "none"},
        sample={"documents": "8"},
    )
    assert (found.layers, found.lengths, found.sample) == (None, None, "")


def test_a_family_without_a_number_says_why_once():
    reasons = [
        Line(describe(name), None, [Value(None, "no experts")]) for name in ("experts", "dead_experts")
    ]
    compute = Line(describe("query_compute_flop"), 5.4e9, [Value(5.4e9)])
    experts, costs = groups_of([*reasons, compute])
    assert (experts.family, costs.family) == (Family.EXPERTS, Family.COMPUTE)
    assert experts.notes == [("Experts, Dead experts", "no experts")]
    assert (list(experts.lines), list(costs.lines)) == ([], [compute])


def test_operations_are_read_in_their_unit():
    assert describe("query_compute_flop").format(5_433_562_368.0) == "5.43\xa0GFLOP"
    assert Across.MAX.combine([3, 9, 4]) == 9


@pytest.fixture
def sparse():
    """A submission with results on two datasets, the first with a report of its inside."""
    board = make_benchmark("two", [make_dataset("one"), make_dataset("other")])
    revision = make_revision(make_system(name="S", family="sparse"), kind="sparse")
    submission = make_submission(benchmark=board, revision=revision, tracks=[Track.RETRIEVAL, Track.SPARSITY])
    for name, counts in (("one", [[2, 1], [4, 2]]), ("other", [[2, 2], [4, 4]])):
        dataset = next(member.dataset for member in board.members() if member.dataset.name == name)
        numbers = {"nDCG@10": 0.5, "flops": 0.25, "document_l1_mean": 3.5, "experts": None}
        measure(submission, dataset, numbers)
        evaluation = submission.evaluations.get(dataset=dataset, track=Track.SPARSITY)
        evaluation.state, evaluation.report = State.SUCCEEDED, {"tracks": {"sparsity": TRACK}}
        evaluation.save()
        _keep(submission.evaluations.get(dataset=dataset, track=Track.RETRIEVAL), counts)
    return SimpleNamespace(submission=submission, system=revision.system)


def _keep(evaluation, counts):
    with tempfile.TemporaryDirectory() as folder:
        write_arrays(Path(folder), {DIMENSION_COUNTS: np.array(counts, dtype=np.uint32)})
        content = (Path(folder) / DIMENSION_COUNTS).read_bytes()
    path = default_storage.save(f"{evaluation.pk}/{DIMENSION_COUNTS}", ContentFile(content))
    Artefact.objects.create(
        evaluation=evaluation, name=DIMENSION_COUNTS, file=path, sha256="0" * 64, size_bytes=len(content)
    )


@pytest.mark.django_db
def test_flops_are_pooled_from_the_counts_of_every_dataset(sparse):
    """Four queries with 3 of the dimension, eight documents with 6: 3/4 x 6/8. The mean of both is 1/4."""
    entry = entries.refresh(sparse.submission)
    assert entry.metrics["flops"] == 0.25
    assert entry.metrics["flops_pooled"] == pytest.approx(3 / 4 * 6 / 8)


@pytest.mark.django_db
def test_counts_that_are_missing_or_damaged_leave_no_pooled_flops(sparse):
    artefact = Artefact.objects.filter(name=DIMENSION_COUNTS).first()
    with default_storage.open(artefact.file.name, "wb") as stream:
        stream.write(b"nothing")
    assert "flops_pooled" not in entries.refresh(sparse.submission).metrics
    artefact.delete()
    assert "flops_pooled" not in entries.refresh(sparse.submission).metrics


@pytest.mark.django_db
def test_a_systems_page_has_its_profile_by_family_and_by_layer(client: Client, sparse):
    entries.refresh(sparse.submission)
    text = client.get(f"/systems/{sparse.system.pk}/").text
    assert "Sparsity profile" in text
    assert '<section aria-label="Representation">' in text
    assert "Doc L1" in text
    assert "FLOPS, pooled" in text
    assert '<td style="--share:0.9">90.0\xa0%</td>' in text
    assert "8 documents and 7 queries" in text


@pytest.mark.django_db
def test_a_board_has_no_column_for_what_only_a_profile_shows(client: Client, sparse):
    entries.refresh(sparse.submission)
    text = client.get("/leaderboards/two/?show=sparsity").text
    assert ">FLOPS<" in text
    assert "Doc L1" not in text
