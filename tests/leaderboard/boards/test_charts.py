"""The trade-off figure: where points stand, which are on the front, what is written."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from leaderboard.boards import charts
from leaderboard.boards.labels import Spot, placed
from leaderboard.boards.rows import Row
from leaderboard.submissions.models import State

SYSTEM = UUID(int=7)


def row(name: str, average: float | None, family: str = "dense", **metrics: float) -> Row:
    return Row(
        host="",
        rank=1,
        system_id=SYSTEM,
        system=name,
        family=family,
        organisation="",
        licence="",
        revision_id=SYSTEM,
        revision="abc",
        kind="dense",
        location="",
        options={},
        submission_id=SYSTEM,
        average=average,
        cells={},
        reasons={},
        metrics=metrics,
        state=State.SUCCEEDED,
        done=1,
        total=1,
        updated_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


ROWS = [
    row("BM25", 0.40, "lexical", parameters=0, index_bytes=100),
    row("small", 0.45, parameters=1e7, index_bytes=1000),
    row("worse", 0.42, parameters=1e8, index_bytes=2000),
    row("large", 0.55, "sparse", parameters=1e9, index_bytes=500),
]


def figure(rows: list[Row], x: str = "parameters") -> Any:
    return json.loads(charts.tradeoff(rows, x, {str(SYSTEM): "/systems/7/"}).to_json())


def trace(drawn: Any, name: str) -> Any:
    return next(found for found in drawn["data"] if found["name"] == name)


def test_it_works() -> None:
    drawn = figure(ROWS)
    assert [found["name"] for found in drawn["data"]] == ["Pareto front", "lexical", "sparse", "dense"]
    assert trace(drawn, "sparse")["x"] == [1e9]
    assert trace(drawn, "sparse")["y"] == pytest.approx([55])
    assert trace(drawn, "sparse")["customdata"] == [["large", "1\N{NO-BREAK SPACE}B", "/systems/7/"]]
    assert {found["type"] for found in drawn["data"]} == {"scatter"}


def test_the_front_leaves_out_what_another_beats() -> None:
    names = [point.row.system for point in charts.front(charts.points_of(ROWS, "parameters"))]
    assert names == ["BM25", "small", "large"]
    by_size = [point.row.system for point in charts.front(charts.points_of(ROWS, "index_bytes"))]
    assert by_size == ["BM25", "large"]


def test_of_two_equally_cheap_systems_only_the_better_is_on_the_front() -> None:
    rows = [row("a", 0.4, parameters=10), row("b", 0.5, parameters=10), row("c", 0.5, parameters=20)]
    assert [point.row.system for point in charts.front(charts.points_of(rows, "parameters"))] == ["b"]


def test_zero_parameters_stand_on_the_logarithmic_axis_half_a_decade_before_the_least() -> None:
    drawn = figure(ROWS)
    (place,) = trace(drawn, "lexical")["x"]
    assert math.isclose(place, 10**6.5)
    axis = drawn["layout"]["xaxis"]
    assert axis["ticktext"][0] == "0"
    assert axis["tickvals"][0] == place
    assert axis["range"][0] < math.log10(place)
    assert [shape["name"] for shape in drawn["layout"]["shapes"]] == ["break"]


def test_systems_without_parameters_only_still_make_a_chart() -> None:
    drawn = figure([row("BM25", 0.4, "lexical", parameters=0)])
    assert drawn["layout"]["xaxis"]["ticktext"] == ["0"]
    assert "shapes" not in drawn["layout"] or drawn["layout"]["shapes"] == []


def test_rows_without_one_of_the_numbers_are_left_out_and_none_is_no_error() -> None:
    assert figure([row("a", None, parameters=10), row("b", 0.5)])["data"] == []
    assert figure([])["data"] == []


def test_a_hostile_name_is_text_in_the_chart() -> None:
    text = charts.tradeoff([row("<script>alert(1)</script><b>x", 0.4, parameters=10)]).to_json()
    assert "<script>" not in text
    assert "&lt;script&gt;" in json.loads(text)["data"][0]["customdata"][0][0]


def test_an_unknown_family_has_a_trace_of_its_own() -> None:
    drawn = figure([replace(ROWS[1], family="quantum")])
    assert drawn["data"][0]["meta"]["family"] == "quantum"


def test_a_name_goes_below_its_point_where_another_point_stands_above() -> None:
    size = (1000.0, 300.0)
    assert placed([Spot("alone", 0.5, 0.5)], size) == {0: "top center"}
    pair = placed([Spot("below", 0.5, 0.5), Spot("above", 0.5, 0.56)], size)
    assert pair == {0: "bottom center", 1: "top center"}


def test_names_that_fit_nowhere_are_not_written() -> None:
    crowd = [Spot("a rather long name", 0.5, 0.5) for _ in range(6)]
    assert len(placed(crowd, (300.0, 200.0))) < 6


def test_names_at_the_edges_lean_inwards() -> None:
    assert placed([Spot("left edge", 0.01, 0.5)], (1000.0, 300.0)) == {0: "top right"}
    assert placed([Spot("right edge", 0.99, 0.5)], (1000.0, 300.0)) == {0: "top left"}
