"""Sweeps end to end: what an evaluation writes, and what of it can be relied on."""

import gzip
import json
from dataclasses import replace

import pyarrow.parquet
import pytest

from evaluations import cli, pipeline
from evaluations.errors import EvaluationError
from evaluations.progress import Progress
from evaluations.report import read_report
from evaluations.sparsity.sweeps import curves_of, parse_sweeps
from evaluations.systems.parse import parse_system
from tests.evaluations.sweeps import models
from tests.evaluations.systems import tiny_sparse


def evaluated(system, out, *sweeps, data=None, **request):
    spec = parse_system(system)
    return pipeline.evaluate(
        pipeline.Request(
            spec=spec, out=out, runtime=models.RUNTIME, sweeps=parse_sweeps(sweeps, spec.kind), **request
        ),
        data or models.dataset(),
    )  # fmt: skip


def found(report):
    return {curve["asked"].partition("=")[0]: curve for curve in report.tracks["sparsity"].details["sweeps"]}


def run_of(out, name="run.trec.gz"):
    """The lines without the tag, which names the sweep."""
    text = gzip.decompress((out / name).read_bytes()).decode()
    return [line.rsplit(" ", 1)[0] for line in text.splitlines()]


@pytest.fixture(scope="module")
def swept(tiny, tmp_path_factory):
    out = tmp_path_factory.mktemp("swept")
    sweeps = (
        "dimensions=16,8,400",
        "vector-bits=8,1",
        "weights=30,99",
        "weights:random=30",
        "length:queries=4",
    )
    return evaluated(f"dense:{tiny}", out, *sweeps), out


def test_every_point_is_a_full_result_with_its_figures(swept):
    report, _ = swept
    curve = found(report)["dimensions"]
    assert [point["value"] for point in curve["points"]] == [None, "400", "16", "8"]
    point = curve["points"][3]
    assert set(report.tracks["retrieval"].metrics) <= set(point["metrics"])
    assert point["metrics"]["dimensions"] == 8
    assert point["metrics"]["index_bytes"] == 6 * 8 * 4
    assert (point["axis"], point["level"], point["is_unmodified"]) == (8, 0.5, False)


def test_the_unmodified_point_is_the_evaluations_own_result(swept):
    report, _ = swept
    for curve in found(report).values():
        first = curve["points"][0]
        assert first["is_unmodified"]
        assert first["level"] == 0.0
        for name, value in report.tracks["retrieval"].metrics.items():
            assert first["metrics"][name] == value


def test_a_point_that_changes_nothing_has_the_unmodified_run(swept):
    _, out = swept
    assert run_of(out, "sweeps/dimensions/16.trec.gz") == run_of(out)
    assert run_of(out, "sweeps/dimensions/8.trec.gz") != run_of(out)


def test_a_point_that_cannot_be_made_is_a_gap_with_its_reason_and_the_others_stay(swept):
    report, out = swept
    gap = found(report)["dimensions"]["points"][1]
    assert gap["code"] == "SWEEP-POINT"
    assert gap["reason"] == "the vectors have 16 dimensions, fewer than 400"
    assert gap["metrics"] == {}
    assert not (out / "sweeps/dimensions/400.trec.gz").exists()


def test_query_sweeps_leave_the_documents_as_they_were(swept, tiny):
    report, out = swept
    whole = found(report)["length:queries"]["points"][1]
    assert whole["axis"] == 4
    assert len(run_of(out, "sweeps/length-queries/4.trec.gz")) == len(run_of(out))


def test_knee_and_drop_come_with_their_rules(swept):
    report, _ = swept
    curve = found(report)["vector-bits"]
    assert "at most 1 % (relative) below" in curve["rules"]["knee"]
    assert "more than 3 times as fast" in curve["rules"]["drop"]
    assert (curve["knee"] is None) == (curve["knee_reason"] is not None)
    assert found(report)["weights:random"]["is_baseline"]


def test_the_parquet_has_a_row_a_point(swept):
    report, out = swept
    rows = pyarrow.parquet.read_table(out / "sweeps.parquet").to_pylist()
    assert len(rows) == sum(len(curve["points"]) for curve in found(report).values())
    pruned = next(
        row for row in rows if (row["sweep"], row["variant"], row["value"]) == ("weights", "random", "30")
    )
    assert pruned["prunable_zeros_share"] == pytest.approx(0.3, abs=1e-3)
    assert pruned["nDCG@10"] == found(report)["weights:random"]["points"][1]["metrics"]["nDCG@10"]
    gap = next(row for row in rows if row["value"] == "400")
    assert gap["reason"].startswith("the vectors have 16")
    assert gap["nDCG@10"] is None


def test_the_values_of_each_query_are_kept(swept):
    report, out = swept
    rows = pyarrow.parquet.read_table(out / "sweeps_per_query.parquet").to_pylist()
    own = [row for row in rows if (row["sweep"], row["value"]) == ("dimensions", "8")]
    assert [row["query_id"] for row in own] == ["q1", "q2"]
    mean = sum(row["nDCG@10"] for row in own) / 2
    assert mean == pytest.approx(found(report)["dimensions"]["points"][3]["metrics"]["nDCG@10"])


def test_scoring_once_more_finds_the_same(swept):
    report, out = swept
    again = pipeline.score(models.dataset(), out)
    assert again.tracks["sparsity"].details["sweeps"] == report.tracks["sparsity"].details["sweeps"]


def test_the_report_is_read_back_as_it_was_written(swept):
    _, out = swept
    details = read_report(out).tracks["sparsity"].details
    assert next(str(curve.curve) for curve in curves_of(details, "dense")) == "dimensions=400,16,8"


def test_the_order_of_asking_does_not_matter(swept, tiny, tmp_path):
    report, _ = swept
    turned = evaluated(f"dense:{tiny}", tmp_path, "weights:random=30", "weights=99,30", "vector-bits=1,8")
    for name in ("weights", "weights:random", "vector-bits"):
        assert _without_times(found(turned)[name]) == _without_times(found(report)[name])


def _without_times(curve):
    return {**curve, "points": [{**point, "seconds": None} for point in curve["points"]]}


def test_a_cache_gives_every_point_its_own_vectors_and_the_unmodified_system_its_own(tiny, tmp_path):
    """A second evaluation finds all that is kept, and must find what the first one found."""
    asked = ("weights=50", "weights:random=50", "attention=2", "activations=75", "length=5", f"soup={tiny}")
    runtime = replace(models.RUNTIME, cache=tmp_path / "cache")
    reports = []
    for attempt in ("first", "second"):
        spec = parse_system(f"dense:{tiny}")
        curves = parse_sweeps(asked, "dense")
        request = pipeline.Request(spec=spec, out=tmp_path / attempt, runtime=runtime, sweeps=curves)
        reports.append(pipeline.evaluate(request, models.dataset()))
    for first, second in zip(*(found(report).values() for report in reports), strict=True):
        assert _without_times(first) == _without_times(second)
    uncached = found(evaluated(f"dense:{tiny}", tmp_path / "uncached", *asked))
    for name, curve in found(reports[1]).items():
        assert _without_times(curve) == _without_times(uncached[name])
    plain = evaluated(f"dense:{tiny}", tmp_path / "plain")
    assert reports[1].tracks["retrieval"].metrics == plain.tracks["retrieval"].metrics
    assert run_of(tmp_path / "second") == run_of(tmp_path / "plain")
    assert reports[1].provenance["runtime"]["texts_encoded"] == 0


def test_sparse_vectors_are_swept(tmp_path, tiny_splade):
    report = evaluated(
        f"sparse:{tiny_splade}",
        tmp_path,
        "document-terms=1,17",
        "query-terms=1",
        "impact-bits=8,1",
        "weights=50",
    )
    curves = found(report)
    full, one = curves["document-terms"]["points"][1:]
    assert run_of(tmp_path, "sweeps/document-terms/17.trec.gz") == run_of(tmp_path)
    assert one["metrics"]["document_active_dims_mean"] <= 1.0
    assert one["metrics"]["flops"] <= full["metrics"]["flops"]
    unmodified = curves["impact-bits"]["points"][0]["metrics"]
    assert unmodified["index_bytes"] == report.tracks["sparsity"].metrics["index_bytes"]
    assert unmodified["flops"] == pytest.approx(report.tracks["sparsity"].metrics["flops"])
    assert curves["query-terms"]["points"][1]["metrics"]["query_active_dims_mean"] <= 1.0


@pytest.fixture(scope="module")
def tiny_splade(tmp_path_factory):
    return tiny_sparse.one_of_each_form(tmp_path_factory.mktemp("splade")).plain


def test_points_without_any_weight_are_gaps(tmp_path):
    # The document's only impact is an eighth of the greatest: in 2 bits it rounds to 0 for one document only;
    # a query whose weights are all zero leaves nothing to rank by.
    folder = tmp_path / "vectors"
    folder.mkdir()
    (folder / "meta.json").write_text(json.dumps({"dimensions": 4, "similarity": "dot"}))
    lines = [json.dumps({"id": key, "vector": {"w": 1.0}}) for key in models.DOCUMENTS]
    (folder / "documents.jsonl").write_text("\n".join(lines))
    (folder / "queries.jsonl").write_text(
        "\n".join(json.dumps({"id": key, "vector": {}}) for key in models.QUERIES)
    )
    report = evaluated(f"vectors:{folder}", tmp_path / "out", "document-terms=1", "query-terms=1")
    for curve in found(report).values():
        point = curve["points"][1]
        assert point["code"] == "SWEEP-ZEROS"
        assert point["reason"] == "all vectors of the queries are zero at this point"
        assert curve["knee"] is None


def test_self_hits_are_taken_out_of_every_point(tiny, tmp_path):
    data = models.dataset()
    data = replace(
        data,
        self_hits="remove",
        queries={"d1": "swept wing", "q2": "heat"},
        qrels={"d1": {"d4": 1}, "q2": {"d3": 1}},
    )
    evaluated(f"dense:{tiny}", tmp_path, "dimensions=8", data=data)
    assert not any(line.startswith("d1 Q0 d1 ") for line in run_of(tmp_path, "sweeps/dimensions/8.trec.gz"))


def test_a_sweep_needs_the_tracks_that_it_belongs_to(tiny, tmp_path):
    for tracks in (("retrieval",), ("sparsity",)):
        with pytest.raises(EvaluationError, match="SWEEP-TRACK"):
            evaluated(f"dense:{tiny}", tmp_path, "dimensions=8", tracks=tracks)


@pytest.mark.parametrize(
    "broken",
    [
        "no list",
        [{"asked": "dimensions=8"}],
        [{"asked": "document-terms=8", "points": []}],
        [{"asked": "dimensions=8", "points": [{"value": None}]}],
        [{"asked": "dimensions=../../etc", "points": []}],
    ],
)
def test_a_report_whose_curves_are_not_those_that_a_measurement_writes_is_refused(broken):
    with pytest.raises(EvaluationError, match="REPORT-INVALID"):
        curves_of({"sweeps": broken}, "dense")


def test_a_report_without_sweeps_has_no_curves():
    assert curves_of({}, "dense") == ()


def test_the_command_line_takes_sweeps_and_says_what_they_found(tiny, tmp_path, write_dataset, capsys):
    folder = write_dataset()
    arguments = [
        "evaluate",
        "--system",
        f"dense:{tiny}",
        "--dataset",
        str(folder),
        "--out",
        str(tmp_path / "out"),
    ]
    assert (
        cli.main([*arguments, "--sweep", "dimensions=8", "--sweep", "weights:nm=2:4", "--threads", "1"]) == 0
    )
    said = capsys.readouterr().out
    assert "sweep dimensions" in said
    assert "2:4" in said
    assert "sweeps.parquet" in said


def test_the_command_line_refuses_what_does_not_fit_before_anything_is_loaded(tmp_path, capsys):
    arguments = ["evaluate", "--system", "bm25", "--dataset", "mini", "--out", str(tmp_path)]
    assert cli.main([*arguments, "--sweep", "weights=10"]) == 2
    assert "error[SWEEP-KIND]: sweep weights is of dense" in capsys.readouterr().err


def test_the_sweeps_are_listed(capsys):
    assert cli.main(["sweeps"]) == 0
    said = capsys.readouterr().out
    assert "--sweep weights:random=10,20" in said


def test_progress_names_the_point(tiny, tmp_path):
    class Noting(Progress):
        notes: list[str] = []

        def note(self, message):
            self.notes.append(message)

    progress = Noting()
    request = pipeline.Request(
        spec=parse_system(f"dense:{tiny}"), out=tmp_path, runtime=models.RUNTIME,
        sweeps=parse_sweeps(["dimensions=8", "vector-bits=8"], "dense"),
    )  # fmt: skip
    pipeline.measure(request, models.dataset().blind(), progress)
    assert [note for note in progress.notes if note.startswith("point")] == [
        "point 1 of 2: dimensions=8",
        "point 2 of 2: vector-bits=8",
    ]
