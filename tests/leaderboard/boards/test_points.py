"""Operating points on the board: stored with a result, drawn, listed, downloaded, and gone with it."""

import csv
import io
import json
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from evaluations.report import Report
from evaluations.sparsity.sweeps import sweep_of
from evaluations.tracks import Findings
from leaderboard.boards import curves, points, results, swept
from leaderboard.boards.models import OperatingPoint
from leaderboard.submissions import lifecycle
from leaderboard.submissions.models import Submission, Track
from tests.factories import make_benchmark, make_dataset, make_revision, make_submission, make_system

pytestmark = pytest.mark.django_db


def point(value: str | None, axis: float | None, ndcg: float | None, **more: Any) -> dict[str, Any]:
    """As the report has one; without a score it is a gap."""
    metrics = {} if ndcg is None else {"nDCG@10": ndcg, "prunable_zeros_share": axis, "index_bytes": 1536}
    gap = ndcg is None
    found = {
        "value": value, "is_unmodified": value is None, "axis": axis, "level": axis, "metrics": metrics,
        "code": "SWEEP-ZEROS" if gap else None, "seconds": 1.5,
        "reason": "all vectors of the queries are zero at this point" if gap else None,
    }  # fmt: skip
    return found | more


KNEE = {"value": "10", "level": 0.1, "change": -0.004, "lower_bound": -0.008, "confirmed": True}
DROP = {"from_value": "10", "to_value": "50", "from_level": 0.1, "to_level": 0.5, "loss": 0.2}


def details() -> dict[str, Any]:
    rules = {"knee": "the rule of the knee", "drop": "the rule of the drop"}
    magnitude = [
        point(None, 0.0, 0.5),
        point("10", 0.1, 0.498),
        point("50", 0.5, 0.4),
        point("90", None, None),
    ]
    random = [point(None, 0.0, 0.5), point("10", 0.1, 0.45)]
    return {
        "sweeps": [
            {
                "sweep": "weights", "variant": "magnitude", "asked": "weights=10,50,90",
                "knee": KNEE, "knee_reason": None, "drop": DROP, "drop_reason": None,
                "rules": rules, "points": magnitude,
            },
            {
                "sweep": "weights", "variant": "random", "asked": "weights:random=10",
                "knee": None, "knee_reason": "no tested level keeps the loss within 1 %",
                "drop": None, "drop_reason": "no interval", "rules": rules, "points": random,
            },
        ]
    }  # fmt: skip


@pytest.fixture
def submission() -> Submission:
    benchmark = make_benchmark("single", [make_dataset("only", protocol="aaaaaaaaaaaa")])
    revision = make_revision(make_system(name="=SUM(A1)"), kind="dense")
    return make_submission(
        benchmark=benchmark, revision=revision, sweeps=["weights=10,50,90", "weights:random=10"]
    )


def commit(submission: Submission, sparsity: dict[str, Any]) -> None:
    claim = lifecycle.claim(submission.evaluations.all()[0].pk, "worker-1")
    assert claim is not None
    report = Report(
        system={"kind": "dense"},
        dataset={"name": "only"},
        protocol={"retrieval": {"hash": "aaaaaaaaaaaa"}, "sparsity": {"hash": "bbbbbbbbbbbb"}},
        provenance={"host": {}},
        tracks={
            "retrieval": Findings({"nDCG@10": 0.5}),
            "sparsity": Findings({"index_bytes": 1536}, details=sparsity),
        },
    )
    results.commit(claim, report)


@pytest.fixture
def done(submission: Submission) -> Submission:
    commit(submission, details())
    return submission


def evaluation(submission: Submission) -> Any:
    return submission.evaluations.get(track=Track.SPARSITY)


def page_of(client: Client, submission: Submission) -> str:
    return client.get(f"/systems/{submission.revision.system_id}/").content.decode()


def test_every_point_becomes_a_row(done: Submission) -> None:
    rows = list(OperatingPoint.objects.order_by("position"))
    assert [(row.curve, row.value, row.axis, row.is_unmodified) for row in rows] == [
        ("weights", "", 0.0, True),
        ("weights", "10", 0.1, False),
        ("weights", "50", 0.5, False),
        ("weights", "90", None, False),
        ("weights:random", "", 0.0, True),
        ("weights:random", "10", 0.1, False),
    ]
    assert rows[1].metrics["nDCG@10"] == 0.498
    assert (rows[3].code, rows[3].metrics) == ("SWEEP-ZEROS", {})
    assert rows[3].reason.startswith("all vectors")


def test_a_number_that_is_none_is_stored_nowhere(submission: Submission) -> None:
    broken = details()
    broken["sweeps"][0]["points"][1]["metrics"]["nDCG@10"] = float("nan")
    with pytest.raises(Exception, match=r"finite"):
        commit(submission, broken)
    assert OperatingPoint.objects.count() == 0


def test_a_system_without_points_has_no_part_of_its_page_for_them(
    client: Client, submission: Submission
) -> None:
    commit(submission, {})
    page = page_of(client, submission)
    assert "Operating points" not in page
    assert "plotly" not in page


def test_the_page_shows_each_sweep_with_its_numbers_knee_and_gaps(client: Client, done: Submission) -> None:
    page = page_of(client, done)
    assert f'data-curve="/curves/{evaluation(done).pk}/weights.json"' in page
    assert "knee at 10 (level 10.0%, change -0.40%): confirmed, 95 % lower bound -0.80%" in page
    assert "no tested level keeps the loss within 1 %" in page
    assert page.count("the rule of the knee") == 1
    assert "no point: all vectors of the queries are zero at this point" in page
    assert "49.8" in page
    assert "Random (baseline)" in page


def test_the_change_is_relative_to_the_unmodified_system(done: Submission) -> None:
    (figure,) = points.figures_of(swept.swept_of(done.pk))
    magnitude = figure.groups[0][1]
    assert [line.value for line in magnitude] == ["10\xa0%", "50\xa0%", "90\xa0%"]
    assert magnitude[1].cells[:2] == [("40.0", "0.4"), ("\N{MINUS SIGN}20.0\xa0%", repr(0.4 / 0.5 - 1.0))]
    assert [line.is_knee for line in magnitude] == [True, False, False]


def test_figures_that_no_point_moves_have_no_column(done: Submission) -> None:
    (figure,) = points.figures_of(swept.swept_of(done.pk))
    assert [metric.name for metric in figure.columns] == ["nDCG@10", "prunable_zeros_share"]


def test_the_figure_draws_curves_baseline_knee_and_unmodified(client: Client, done: Submission) -> None:
    answer = client.get(f"/curves/{evaluation(done).pk}/weights.json")
    figure = json.loads(answer.content)
    names = [trace["name"] for trace in figure["data"]]
    assert names == ["Smallest magnitudes", "Random (baseline)", "knee", "unmodified"]
    magnitude, random, knee, unmodified = figure["data"]
    assert magnitude["x"] == [0.0, 10.0, 50.0]
    assert magnitude["y"] == pytest.approx([50.0, 49.8, 40.0])
    assert random["line"]["dash"] == "dash"
    assert (knee["x"], knee["y"]) == ([10.0], [pytest.approx(49.8)])
    assert unmodified["y"] == [50.0]
    assert {trace["type"] for trace in figure["data"]} == {"scatter"}


def test_an_axis_on_which_less_is_sparser_runs_to_the_left(done: Submission) -> None:
    own = evaluation(done)
    bits = points.Figure(own, points.SWEEPS["vector-bits"], [_curve("vector-bits", "8", "1")])
    low, high = curves.figure(bits).layout.xaxis.range
    assert low > high


def _curve(sweep: str, *values: str) -> points.Curve:
    rows = [OperatingPoint(value="", is_unmodified=True, axis=32, level=0, metrics={"nDCG@10": 0.5})]
    rows += [
        OperatingPoint(value=value, axis=int(value), level=0.5, metrics={"nDCG@10": 0.4}) for value in values
    ]
    found = points.SWEEPS[sweep]
    return points.Curve(sweep, found, found.variants[0], rows, {})


def test_texts_of_a_figure_are_no_markup(done: Submission) -> None:
    curve = _curve("soup")
    curve.points.append(  # type: ignore[attr-defined]
        OperatingPoint(value="<b>org/x</b>", axis=2, level=None, metrics={"nDCG@10": 0.4})
    )
    drawn = curves.figure(points.Figure(evaluation(done), points.SWEEPS["soup"], [curve])).to_json()
    assert "<b>org" not in json.loads(drawn)["data"][0]["customdata"][-1][0]


def test_a_sweep_that_was_not_asked_for_has_no_figure(client: Client, done: Submission) -> None:
    assert client.get(f"/curves/{evaluation(done).pk}/attention.json").status_code == 404
    assert client.get(f"/curves/{uuid4()}/weights.json").status_code == 404


def test_the_csv_has_a_line_a_point_in_full_precision(client: Client, done: Submission) -> None:
    answer = client.get(f"/submissions/{done.pk}/points.csv")
    assert answer["Content-Disposition"].startswith("attachment")
    lines = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert len(lines) == 6
    assert [lines[1][name] for name in ("dataset", "sweep", "variant", "value", "nDCG@10")] == [
        *("only", "weights", "magnitude", "10", "0.498"),
    ]
    assert (lines[3]["code"], lines[3]["nDCG@10"], lines[3]["axis"]) == ("SWEEP-ZEROS", "", "")


def test_rest_gives_the_same_numbers(client: Client, done: Submission) -> None:
    (answer,) = client.get(f"/api/v1/submissions/{done.pk}/points/").json()
    assert answer["dataset"] == "only"
    magnitude, random = answer["curves"]
    assert magnitude["knee"] == KNEE
    assert magnitude["drop"] == DROP
    assert random["knee"] is None
    assert random["is_baseline"]
    assert [shown["value"] for shown in magnitude["points"]] == [None, "10", "50", "90"]
    assert magnitude["points"][1]["metrics"]["nDCG@10"] == 0.498
    assert magnitude["points"][3]["reason"].startswith("all vectors")


def test_without_points_csv_is_404_and_rest_an_empty_list(client: Client, submission: Submission) -> None:
    assert client.get(f"/submissions/{submission.pk}/points.csv").status_code == 404
    assert client.get(f"/api/v1/submissions/{submission.pk}/points/").json() == []
    assert client.get(f"/api/v1/submissions/{uuid4()}/points/").status_code == 404


def test_the_printed_command_asks_for_the_points(client: Client, done: Submission) -> None:
    assert "--sweep weights=10,50,90" in page_of(client, done)


def test_an_axis_of_counts_has_no_ticks_between_them() -> None:
    soup: Any = SimpleNamespace(sweep=sweep_of("soup"), by_time=False)
    assert curves._ticks(soup, [1.0, 2.0, 3.0]) == {"tick0": 0, "dtick": 1}
    assert curves._ticks(soup, [1.0, 20.0]) == {"tick0": 0, "dtick": 3}


TIMES = {"query_latency_p50_ms": 2.5, "query_search_latency_p50_ms": 1.0, "query_speedup_realised": 2.0}
HOST = "cccccccccccc"


def timed_point(value: str | None, milliseconds: float | None, untimed: str | None = None) -> dict[str, Any]:
    """As the latency track's report has one."""
    metrics = dict.fromkeys(TIMES) if milliseconds is None else TIMES | {"query_latency_p50_ms": milliseconds}
    return point(value, 0.1, 0.9) | {"metrics": metrics | {"nDCG@10": 0.9}, "untimed": untimed}


def commit_times(submission: Submission) -> None:
    """The points of 10 and 50 % are timed; of 90 % and of the random ones nothing is known."""
    found = details()
    found["sweeps"][0]["points"] = [
        timed_point(None, 5.0),
        timed_point("10", 2.5),
        timed_point("50", None, "its session was rejected: bm25 varied by 9 %"),
        timed_point("90", 1.0),
    ]
    evaluation = submission.evaluations.create(
        dataset=submission.benchmark.members()[0].dataset, track=Track.LATENCY
    )
    claim = lifecycle.claim(evaluation.pk, "worker-2")
    assert claim is not None
    report = Report(
        system={"kind": "dense"},
        dataset={"name": "only"},
        protocol={"latency": {"hash": "dddddddddddd", "host_profile": HOST}},
        provenance={"host": {}},
        tracks={"latency": Findings({"query_latency_p50_ms": 5.0}, details=found)},
    )
    results.commit(claim, report)


def test_of_a_point_the_sparsity_track_has_no_times_and_the_latency_track_nothing_else(
    submission: Submission,
) -> None:
    forged = details()
    forged["sweeps"][0]["points"][1]["metrics"] |= TIMES
    commit(submission, forged)
    commit_times(submission)
    by_track = {
        track: OperatingPoint.objects.get(evaluation__track=track, curve="weights", value="10").metrics
        for track in (Track.SPARSITY, Track.LATENCY)
    }
    assert set(by_track[Track.SPARSITY]) == {"nDCG@10", "prunable_zeros_share", "index_bytes"}
    assert by_track[Track.LATENCY] == TIMES


def test_points_have_their_times_their_host_and_why_one_has_none(client: Client, done: Submission) -> None:
    commit_times(done)
    (answer,) = client.get(f"/api/v1/submissions/{done.pk}/points/").json()
    assert answer["host"] == HOST
    unmodified, ten, fifty, gap = answer["curves"][0]["points"]
    assert [each["metrics"]["query_latency_p50_ms"] for each in (unmodified, ten, fifty)] == [5.0, 2.5, None]
    assert [each["metrics"]["nDCG@10"] for each in (unmodified, ten, fifty)] == [0.5, 0.498, 0.4]
    assert fifty["untimed"] == "its session was rejected: bm25 varied by 9 %"
    assert (fifty["reason"], gap["metrics"]) == ("", {})
    page = page_of(client, done)
    assert "No times at Smallest magnitudes 50\xa0%: its session was rejected: bm25 varied by 9 %." in page
    assert f'<a href="/hosts/{HOST}/"><code>{HOST}</code></a>' in page


def test_the_table_has_a_column_for_each_time(done: Submission) -> None:
    commit_times(done)
    (figure,) = points.figures_of(swept.swept_of(done.pk))
    assert [metric.name for metric in figure.columns] == ["nDCG@10", "prunable_zeros_share", *TIMES]
    ten, fifty, _ = figure.groups[0][1]
    assert ten.cells[3:] == [("2.50\xa0ms", "2.5"), ("1\xa0ms", "1.0"), ("2\xa0×", "2.0")]
    assert fifty.cells[3] == ("–", "its session was rejected: bm25 varied by 9 %")


def test_a_curve_over_milliseconds_has_the_points_that_were_timed(client: Client, done: Submission) -> None:
    own = f"/curves/{evaluation(done).pk}/weights.json?x=query_latency_p50_ms"
    assert client.get(own).status_code == 404
    commit_times(done)
    figure = json.loads(client.get(own).content)
    magnitude, knee, unmodified = figure["data"]
    assert (magnitude["x"], magnitude["y"]) == ([5.0, 2.5], pytest.approx([50.0, 49.8]))
    assert (knee["x"], unmodified["x"]) == ([2.5], [5.0])
    low, high = figure["layout"]["xaxis"]["range"]
    assert low < 2.5 < 5.0 < high


def test_times_of_no_host_are_shown_nowhere(client: Client, done: Submission) -> None:
    commit_times(done)
    done.evaluations.filter(track=Track.LATENCY).update(host="")
    (answer,) = client.get(f"/api/v1/submissions/{done.pk}/points/").json()
    assert answer["host"] is None
    assert "query_latency_p50_ms" not in answer["curves"][0]["points"][1]["metrics"]
